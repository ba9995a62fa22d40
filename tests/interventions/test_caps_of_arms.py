"""An experiment on the frequency cap itself: its arms have caps of their own."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import reverse

from activity.models import Course, Enrollment
from experiments.models import Assignment, DeliveryOutcome, Experiment
from experiments.operations import stop_experiment
from experiments.protocol import ProtocolError, read_protocol
from experiments.queries import report
from interventions.models import Cadence, Delivery, FrequencyCap
from interventions.operations import save_cap, start_experiment
from interventions.operations.experiments import caps_of_arms
from tests.factories import NOW
from tests.interventions.factories import (
    arm_of,
    assign,
    dispatch,
    make_any_segment,
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def make_cap_experiment(*, start: bool = True, **fields: Any) -> Experiment:
    """Return an experiment whose control may get one message a day, and its nudge two."""
    segment = make_any_segment(make_live_course())
    experiment = make_experiment(segment, start=False, differs_outside=False)
    for key, limit in (("control", 1), ("nudge", 2)):
        arm = arm_of(experiment, key)
        save_cap(f"{key} cap", limit=limit, window="rolling_hours", length=24, arm=arm, **fields)
        make_cadence(segment=segment, arm=arm)
    if start:
        start_experiment(experiment.pk, now=NOW)
    return experiment


def make_member(experiment: Experiment, key: str, *, messages: int, ghost: bool = False) -> Any:
    """Return the messages that are due to a learner who was drawn into the arm."""
    arm = arm_of(experiment, key)
    enrollment = make_evaluated()
    assignment = assign(enrollment, arm)
    return [
        make_delivery(
            run=make_run(enrollment, make_cadence(), assignment=assignment, ghost=ghost),
            planned_at=NOW + timedelta(seconds=each),
        )
        for each in range(messages)
    ]


def states(deliveries: list[Delivery]) -> list[str]:
    rows = Delivery.objects.filter(pk__in=[each.pk for each in deliveries])
    return list(rows.order_by("pk").values_list("state", flat=True))


def test_each_arm_gets_as_many_messages_as_its_cap_allows() -> None:
    experiment = make_cap_experiment()
    one = make_member(experiment, "control", messages=3)
    two = make_member(experiment, "nudge", messages=3)

    dispatch()

    assert states(one) == ["handed_off", "planned", "planned"]
    assert states(two) == ["handed_off", "handed_off", "planned"]
    waiting = Delivery.objects.filter(reason="frequency_cap").order_by("pk")
    assert [each.trace[-1]["detail"] for each in waiting] == ["control cap"] * 2 + ["nudge cap"]


def test_ghosts_have_the_cap_of_their_arm_too() -> None:
    experiment = make_cap_experiment()
    ghosts = make_member(experiment, "control", messages=2, ghost=True)

    dispatch()

    assert states(ghosts) == ["ghost", "planned"]


@pytest.mark.slow
def test_learners_of_no_arm_and_all_other_caps_are_not_touched() -> None:
    experiment = make_cap_experiment()
    save_cap("both", limit=1, window="rolling_hours", length=4)
    outsider = make_evaluated()
    others = [make_delivery(outsider, planned_at=NOW + timedelta(seconds=each)) for each in (0, 1)]
    two = make_member(experiment, "nudge", messages=2)

    dispatch()

    # The cap of both arms holds the second message everywhere.
    assert states(others) == states(two) == ["handed_off", "planned"]
    dispatch(NOW + 4 * HOUR)
    assert states(two) == ["handed_off", "handed_off"]
    assert states(others) == ["handed_off", "handed_off"]


def test_messages_of_other_cadences_use_up_the_cap_of_an_arm() -> None:
    experiment = make_cap_experiment()
    [one] = make_member(experiment, "control", messages=1)
    make_counted(Enrollment.objects.get(pk=one.enrollment_id), NOW - HOUR)

    dispatch()

    assert states([one]) == ["planned"]


def test_start_locks_the_caps_in_the_protocol_and_the_report_names_them() -> None:
    experiment = make_cap_experiment()
    make_member(experiment, "control", messages=2)
    make_member(experiment, "nudge", messages=2)
    dispatch()

    experiment.refresh_from_db()
    promise = read_protocol(experiment.protocol).promise
    assert promise is not None
    assert [cap.split(" in 24 hours")[0] for cap in promise.caps] == [
        f"At most 1 message to learners in the arm control of {experiment.name}",
        f"At most 2 messages to learners in the arm nudge of {experiment.name}",
    ]
    found = report(experiment, as_of=NOW + HOUR)
    assert found.facts.caps == promise.caps
    sent = DeliveryOutcome.objects.filter(outcome="handed_off")
    arms = Assignment.objects.filter(pk__in=sent.values("assignment")).values_list("arm__key")
    assert sorted(arms) == [("control",), ("nudge",)]
    assert sent.filter(assignment__arm__key="nudge").count() == 2


def test_start_is_refused_if_an_arm_receives_nothing() -> None:
    experiment = make_cap_experiment(start=False)
    Cadence.objects.filter(arm=arm_of(experiment, "nudge")).update(status="draft")

    with pytest.raises(ProtocolError, match="no active cadence sends anything to the arm “nudge”"):
        start_experiment(experiment.pk, now=NOW)


@pytest.mark.parametrize(
    ("limit", "window", "length"),
    [
        (1, "rolling_hours", 24),
        (1, "calendar_day", 1),
        (1, "rolling_days", 7),
        (1, "calendar_week", 1),
    ],
)
@pytest.mark.sampled(2)
def test_start_is_refused_if_a_cap_for_everybody_makes_the_arms_equal(
    limit: int, window: str, length: int
) -> None:
    experiment = make_cap_experiment(start=False)
    save_cap("all", limit=limit, window=window, length=length)

    with pytest.raises(ProtocolError, match=r"“all” holds for all learners .* arm “nudge” would"):
        start_experiment(experiment.pk, now=NOW)


def test_start_is_refused_if_the_cap_of_its_only_course_makes_the_arms_equal() -> None:
    experiment = make_cap_experiment(start=False)
    [course] = Course.objects.filter(playbooks__segments__experiments=experiment)
    cap = save_cap("all", limit=1, window="calendar_day", course=make_live_course())
    with transaction.atomic():
        start_experiment(experiment.pk, now=NOW)
        transaction.set_rollback(True)
    FrequencyCap.objects.filter(pk=cap.pk).update(course=course)

    with pytest.raises(ProtocolError, match="“all” holds for all learners"):
        start_experiment(experiment.pk, now=NOW)


def test_start_is_refused_if_the_only_cap_of_an_arm_has_no_effect() -> None:
    experiment = make_cap_experiment(start=False)
    FrequencyCap.objects.filter(name="nudge cap").update(active=False)
    cap = save_cap("all", limit=1, window="rolling_hours", length=24)

    with pytest.raises(ProtocolError, match="arm “control” would have no effect"):
        start_experiment(experiment.pk, now=NOW)

    # A message over the cap of the arm ends, and one over the other only waits.
    FrequencyCap.objects.exclude(pk=cap.pk).update(on_exceed="drop")
    assert start_experiment(experiment.pk, now=NOW).status == "running"


@pytest.mark.parametrize(
    "values",
    [
        # The looser arm gets as many as everybody else.
        {"limit": 2, "window": "rolling_hours", "length": 24},
        {"limit": 1, "window": "rolling_hours", "length": 12},
        {"limit": 1, "window": "rolling_hours", "length": 24, "channel": "in_app"},
        {"limit": 1, "window": "rolling_hours", "length": 24, "active": False},
    ],
    ids=["as the looser arm", "twice a day", "another channel", "not active"],
)
def test_start_goes_on_if_the_arms_differ_under_the_caps_for_everybody(
    values: dict[str, Any],
) -> None:
    experiment = make_cap_experiment(start=False)
    if "channel" in values:
        values = values | {"scope": "channel"}
        FrequencyCap.objects.filter(arm__isnull=False).update(scope="channel", channel="email")
    save_cap("all", **values)

    assert start_experiment(experiment.pk, now=NOW).status == "running"


def test_page_of_a_stopped_experiment_names_the_caps_that_still_hold(client: Client) -> None:
    experiment = make_cap_experiment()
    client.force_login(get_user_model().objects.create_superuser("staff"))
    page = reverse("admin:experiments_experiment_change", args=(experiment.pk,))
    heading, sentence = "Caps that still hold", caps_of_arms(experiment)[1].sentence
    assert heading not in client.get(page).text

    stop_experiment(experiment.pk, now=NOW)

    stopped = client.get(page).text
    assert heading in stopped
    assert sentence in stopped
    FrequencyCap.objects.filter(arm__isnull=False).update(active=False)
    assert heading not in client.get(page).text


def test_cap_that_is_not_active_makes_no_difference_between_arms() -> None:
    experiment = make_cap_experiment(start=False, active=False)

    assert caps_of_arms(experiment) == []
    with pytest.raises(ProtocolError, match="ghosts"):
        start_experiment(experiment.pk, now=NOW)


def test_cap_of_a_running_experiment_cannot_be_changed(client: Client) -> None:
    experiment = make_cap_experiment()
    client.force_login(get_user_model().objects.create_superuser("staff"))
    cap = FrequencyCap.objects.get(name="nudge cap")
    page = reverse("admin:interventions_frequencycap_change", args=(cap.pk,))
    values = {"name": "nudge cap", "scope": "everything", "limit": 3, "window": "rolling_hours"}
    form = values | {"length": 24, "on_exceed": "defer", "active": "on", "arm": cap.arm_id}

    refused = client.post(page, form)

    assert "Stop the experiment first." in refused.text
    assert 'value="3"' in refused.text
    assert FrequencyCap.objects.get(pk=cap.pk).limit == 2
    Experiment.objects.filter(pk=experiment.pk).update(status="stopped", stopped_at=NOW)
    assert client.post(page, form).status_code == 302


@pytest.mark.parametrize(
    ("limit", "is_warned"), [(1, True), (3, False)], ids=["stricter", "looser"]
)
def test_stricter_cap_for_everybody_warns_of_the_running_experiment(
    client: Client, limit: int, is_warned: bool
) -> None:
    experiment = make_cap_experiment()
    client.force_login(get_user_model().objects.create_superuser("staff"))
    values = {"name": "all", "scope": "everything", "limit": limit, "window": "rolling_hours"}
    form = values | {"length": 24, "on_exceed": "defer", "active": "on"}

    page = client.post(reverse("admin:interventions_frequencycap_add"), form, follow=True)

    said = [str(each) for each in page.context["messages"] if each.level_tag == "warning"]
    assert FrequencyCap.objects.filter(name="all").exists()
    assert [experiment.name in each for each in said] == [True] * is_warned
    assert all("its arms may now receive the same" in each for each in said)
