"""The ledger holds coverage, name, end, winner and population, and reports show each change."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from activity import access
from activity.models import Course
from common.clock import utc_now
from experiments.ledger.states import State, changes, state_in
from experiments.models import Experiment, LedgerEntry
from experiments.operations import (
    draw_arms,
    ledger_lines,
    name_winner,
    note_states_due,
    restore_ledger,
    snapshot_due,
    stop_experiment,
)
from experiments.queries import deviations_of, verify_experiment
from experiments.queries.ledger import entry_of
from interventions.models import CadenceStatus, FrequencyCap
from interventions.operations import (
    save_cap,
    save_template,
    set_cadence_status,
    start_experiment,
)
from interventions.queries.arm_messages import received_by_arms
from interventions.queries.limits import caps_of_arms
from segmentation.models import Playbook
from segmentation.operations.segments import SegmentFields, archive_segment, edit_segment
from tests.experiments.factories import make_segment, running_experiment
from tests.experiments.test_admin import experiment_form
from tests.experiments.test_snapshots import forget
from tests.factories import NOW, make_course, make_enrollment
from tests.interventions.factories import (
    arm_of,
    make_any_segment,
    make_cadence,
    make_experiment,
    make_live_course,
)

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def experiment() -> Experiment:
    """Return a running experiment of one course that promises the winner to the control."""
    course = make_course(key="bio", title="Biology", time_zone="UTC")
    segment = make_segment(course)
    return running_experiment(
        segment=segment, key="nudge", coverage="0.5", afterwards="winner", name="Nudge"
    )


def fault(experiment: Experiment) -> str:
    return verify_experiment(experiment.key).difference


def sealed(experiment: Experiment) -> list[State]:
    rows = LedgerEntry.objects.filter(experiment=experiment, kind="state").order_by("position")
    return [found for row in rows if (found := state_in(entry_of(row)))]


def note_due(now: datetime) -> int:
    return note_states_due(now=now, budget=9, received=received_by_arms)


def texts(experiment: Experiment, **more: Any) -> list[str]:
    return [text for _, text in deviations_of(experiment, as_of=LATER, **more)]


def test_coverage_name_end_and_winner_are_sealed_and_what_was_edited_is_named(
    experiment: Experiment, admin_client: Client
) -> None:
    page = reverse("admin:experiments_experiment_change", args=(experiment.pk,))
    form = experiment_form([], name="Nudges", coverage="0.75", hypothesis="The other way round")
    assert admin_client.post(page, form).status_code == 302
    draw_arms(experiment.pk, [make_enrollment().pk for _ in range(6)], now=NOW)
    stop_experiment(experiment.pk, now=LATER)
    name_winner(experiment.pk, "nudge", now=LATER)

    assert [(each.coverage, each.ended_because, each.winner) for each in sealed(experiment)] == [
        ("0.75", "", ""), ("0.75", "staff", ""), ("0.75", "staff", "nudge"),
    ]  # fmt: skip
    rows = Experiment.objects.filter(pk=experiment.pk)
    before = rows.values().get()
    assert (before["name"], before["hypothesis"], fault(experiment)) == ("Nudges", "", "")
    edits = {
        "coverage": "0.6", "name": "Other", "stopped_at": NOW, "ended_because": "date",
        "winner": "",
    }  # fmt: skip
    for name, value in edits.items():
        rows.update(**{name: value})
        assert fault(experiment).startswith(f"The experiment has the {name} ")
        rows.update(**{name: before[name]})
    # An end and a winner follow the protocol, so they are no deviations.
    assert [text for _, text in deviations_of(experiment, as_of=utc_now())] == [
        "The coverage is 0.75 and was 0.5.", "The name is “Nudges” and was “Nudge”.",
    ]  # fmt: skip


def test_a_restored_ledger_has_the_facts_and_is_left_alone(experiment: Experiment) -> None:
    draw_arms(experiment.pk, [make_enrollment().pk for _ in range(6)], now=NOW)
    running = list(ledger_lines(experiment.key, now=NOW))
    stop_experiment(experiment.pk, now=LATER)
    name_winner(experiment.pk, "nudge", now=LATER)
    stopped = list(ledger_lines(experiment.key, now=LATER))
    for lines, facts in ((running, ("", "")), (stopped, ("staff", "nudge"))):
        for each in Experiment.objects.all():
            forget(each)

        copy = restore_ledger(lines)

        assert (copy.ended_because, copy.winner, float(copy.coverage)) == (*facts, 0.5)
        assert fault(copy) == ""
        week = NOW + timedelta(days=30)
        assert (note_due(week), snapshot_due(now=week, budget=9)) == (0, 0)
        assert deviations_of(copy, as_of=week) == []
        forget(copy)
        Playbook.objects.filter(key="restored-nudge").delete()


def test_a_ledger_of_an_earlier_release_verifies(experiment: Experiment) -> None:
    # It has no first entry yet, like an experiment that an earlier release started.
    LedgerEntry.objects.all().delete()
    draw_arms(experiment.pk, [make_enrollment().pk for _ in range(6)], now=NOW)
    Experiment.objects.update(coverage="0.75")
    lines = list(ledger_lines(experiment.key, now=NOW))
    assert "state" not in LedgerEntry.objects.get(position=0).content
    assert (fault(experiment), texts(experiment)) == ("", [])

    stop_experiment(experiment.pk, now=LATER)
    assert fault(experiment) == ""
    Experiment.objects.update(coverage="0.5")
    assert "the coverage '0.5', but '0.75' was sealed" in fault(experiment)

    forget(experiment)
    assert fault(restore_ledger(lines)) == ""


def test_what_changes_around_an_experiment_is_a_dated_deviation(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = experiment.segment
    assert segment is not None
    rule = {"field": "active_days", "window": 7, "operator": "<", "value": 2}
    fields = SegmentFields.of(segment)
    edited = replace(fields, rule={"combinator": "and", "rules": [rule]})
    edit_segment(segment.pk, edited, now=LATER)
    Course.objects.update(pass_mark="0.4", time_zone="Europe/London")
    segment.playbook.courses.add(make_course(key="chem", title="Chemistry"))
    expected = [
        f"The rule of the segment “{segment.key}” was changed: version 2 after 1.",
        "The pass mark of “Biology” is 0.4 and was 0.5.",
        "The time zone of “Biology” is Europe/London and was UTC.",
        "“Chemistry” joined the population.",
    ]

    # The page does not wait for the beat.
    assert texts(experiment) == expected
    assert note_due(LATER - timedelta(minutes=1)) == 1
    assert note_due(LATER) == 0
    assert texts(experiment) == expected
    assert deviations_of(experiment, as_of=NOW) == []
    assert fault(experiment) == ""

    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.filter(key="bio"))
    hidden = "A course that you may not see joined the population."
    assert texts(experiment) == [*expected[:3], hidden]
    archive_segment(segment.pk, now=LATER)
    assert texts(experiment)[4:] == [f"The segment “{segment.key}” left the population."]


def test_a_changed_message_of_an_arm_is_a_dated_deviation() -> None:
    segment = make_any_segment(make_live_course())
    experiment = make_experiment(segment, start=False)
    nudge = arm_of(experiment, "nudge")
    one, two = (make_cadence(segment=segment, arm=nudge, name=name) for name in ("First", "Second"))
    save_cap("few", limit=1, window="rolling_hours", length=24, arm=nudge)
    cap = f"{caps_of_arms(experiment)[0].sentence}."
    start_experiment(experiment.pk, now=NOW)
    assert note_due(NOW) == 0

    template = one.steps.get().template
    save_template(
        template.key, name=template.name, category=template.category, texts={"en": ("New", "Text")}
    )
    set_cadence_status(two.pk, CadenceStatus.ARCHIVED)
    FrequencyCap.objects.update(active=False)
    make_cadence(segment=segment, arm=nudge, name="Third")

    assert (note_due(LATER), note_due(LATER)) == (1, 0)
    stop_experiment(experiment.pk, now=LATER)
    assert texts(experiment) == [
        "“First”, which the arm “nudge” gets, was changed.",
        "The arm “nudge” no longer gets “Second”.",
        "The arm “nudge” gets “Third” now.",
        f"This frequency cap no longer holds: {cap}",
    ]
    # What ends an experiment knows no cadence, and keeps what was noted of them.
    assert (note_due(LATER), fault(experiment)) == (0, "")


def test_each_difference_of_two_states_has_a_sentence() -> None:
    one = State("0.5", "A", {"s": 1, "t": 1}, {"bio": {"starts_on": "2025-09-01"}})
    other = State("1", "B", {"s": 1}, {}, "2025-10-01", "staff", "nudge")

    assert [each.text for each in changes(one, other)] == [
        "The coverage is 1 and was 0.5.",
        "The name is “B” and was “A”.",
        "The segment “t” left the population.",
        "{course} left the population.",
    ]
    assert "The segment “t” joined" in " ".join(each.text for each in changes(other, one))
