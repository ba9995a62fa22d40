from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse

from experiments.analyses import (
    OUTCOMES,
    chosen_outcomes,
    read_guardrails,
    read_looks,
    read_subgroups,
    usual_guardrails,
)
from experiments.metrics.definitions import GUARDRAILS, METRICS
from experiments.models import Experiment
from experiments.protocol import ExperimentProtocol, ProtocolArm, read_protocol
from experiments.starting import lock_protocol_and_run
from tests.experiments.factories import make_experiment, make_segment
from tests.factories import NOW, make_course

ARMS = (ProtocolArm("control", 0.5, is_control=True), ProtocolArm("nudge", 0.5, is_control=False))


def test_the_usual_text_is_the_usual_protocol() -> None:
    protocol = ExperimentProtocol(ARMS, seed="s")

    assert read_guardrails(usual_guardrails()) == protocol.guardrails
    assert chosen_outcomes(METRICS[0].key, [metric.key for metric in METRICS[1:]]) == list(METRICS)
    assert read_guardrails(" \n\n") == ()


def test_the_primary_outcome_comes_first_and_once() -> None:
    found = chosen_outcomes("days_active_7d", ["quiz_attempts_7d", "days_active_7d"])

    assert [metric.key for metric in found] == ["days_active_7d", "quiz_attempts_7d"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("left_8d 0.05", "“left_8d” is no guardrail. Write one of unsubscribed_7d"),
        ("left_7d", "Write a share above 0 and below 1 after “left_7d”"),
        ("left_7d 5", "Write a share above 0 and below 1 after “left_7d”"),
        ("left_7d nan", "Write a share above 0 and below 1 after “left_7d”"),
        ("left_7d 0.1\nleft_7d 0.2", "“left_7d” stands there twice"),
    ],
)
def test_a_guardrail_that_cannot_be_read_is_named(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_guardrails(text)


def test_looks_are_midnights_in_the_zone_of_the_courses() -> None:
    assert read_looks("2025-10-25\n 2025-10-27 ", zone="Europe/London") == (
        "2025-10-25T00:00:00+01:00",
        "2025-10-27T00:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tomorrow", "“tomorrow” is no date"),
        ("2025-10-27\n2025-10-25", "in their order"),
        ("2025-10-25\n2025-10-25", "each once"),
        ("\n".join(f"2025-10-{day}" for day in range(10, 21)), "at most 10 dates"),
    ],
)
def test_looks_that_cannot_be_read_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_looks(text, zone="UTC")


def test_at_most_five_parts() -> None:
    assert read_subgroups("sex\nsex\n age band ") == ("sex", "age band")
    with pytest.raises(ValueError, match="at most 5 traits"):
        read_subgroups("a\nb\nc\nd\ne\nf")


@pytest.mark.django_db
def test_the_protocol_locks_what_was_typed() -> None:
    experiment = make_experiment(
        segment=make_segment(make_course(time_zone="Asia/Kathmandu")),
        primary_outcome="quiz_pass_rate_7d", other_outcomes=["module_time_28d"],
        guardrails="left_7d 0.03", looks="2025-10-10", smallest_lift="0.05",
        expected_learners=80, subgroups="sex",
    )  # fmt: skip

    protocol = read_protocol(lock_protocol_and_run(experiment.pk, now=NOW).protocol)

    assert protocol.chosen_metrics() == [OUTCOMES["quiz_pass_rate_7d"], OUTCOMES["module_time_28d"]]
    (guardrail,) = protocol.chosen_guardrails()
    assert guardrail == (GUARDRAILS[-1][0], 0.03)
    look = datetime.fromisoformat(protocol.analysis.looks[0])
    assert look.astimezone(ZoneInfo("Asia/Kathmandu")).date() == date(2025, 10, 10)
    assert (protocol.analysis.expected_learners, protocol.analysis.smallest_lift) == (80, 0.05)
    assert protocol.analysis.subgroups == ("sex",)


@pytest.mark.slow
@pytest.mark.django_db
def test_the_admin_saves_an_analysis_and_says_what_it_cannot_read(admin_client: Client) -> None:
    experiment = make_experiment(segment=make_segment(make_course()))
    page = reverse("admin:experiments_experiment_change", args=(experiment.pk,))
    form = admin_client.get(page).context["adminform"].form
    sent = filled(form) | {"looks": "2026-03-01\n2026-04-01", "other_outcomes": ["days_active_7d"]}

    refused = admin_client.post(page, sent | {"guardrails": "left_8d 0.1"})
    saved = admin_client.post(page, sent)

    assert "“left_8d” is no guardrail." in refused.content.decode()
    assert saved.status_code == 302
    experiment = Experiment.objects.get(pk=experiment.pk)
    assert experiment.other_outcomes == ["days_active_7d"]
    assert experiment.looks.split() == ["2026-03-01", "2026-04-01"]


def filled(form: Any) -> dict[str, Any]:
    """Return what a browser would send of the form, without its arms."""
    values = {name: form[name].value() for name in form.fields}
    kept = {name: value for name, value in values.items() if value not in (None, False)}
    arms = {"arms-TOTAL_FORMS": 0, "arms-INITIAL_FORMS": 0}
    return {**kept, **arms}
