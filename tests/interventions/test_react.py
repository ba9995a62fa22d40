"""Transitions become draws, runs and exits, and some transitions must start nothing."""

import sys
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from activity.models import Enrollment, Learner
from experiments.models import Assignment, DeliveryOutcome
from interventions.models import Cadence, CadenceStatus, Run
from interventions.operations import StepFields, reactions
from interventions.stages import react
from interventions.stages.react import react_due
from segmentation.models import Transition
from tests.factories import NOW
from tests.interventions.factories import (
    LIVE_SINCE,
    arm_of,
    assign,
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
    make_template,
    make_transition,
)

pytestmark = pytest.mark.django_db


def runs() -> list[tuple[int, str, bool]]:
    return list(Run.objects.order_by("id").values_list("enrollment_id", "status", "ghost"))


def test_entering_a_segment_starts_its_cadence_once() -> None:
    enrollment, cadence = make_evaluated(), make_cadence(steps=2)
    transition = make_transition(enrollment, cadence.segment)

    assert react_due(now=NOW) == 1
    assert react_due(now=NOW) == 0

    run = Run.objects.get()
    assert (run.cadence, run.enrollment, run.transition) == (cadence, enrollment, transition)
    assert (run.status, run.ghost, run.assignment) == ("active", False, None)
    assert (run.started_at, run.next_position, run.next_at) == (NOW, 0, NOW)
    transition.refresh_from_db()
    assert transition.processed_at == NOW


@pytest.mark.parametrize(
    ("course", "transition"),
    [
        ({}, {"starts": False, "cause": "baseline"}),
        ({}, {"starts": False, "cause": "edit"}),
        ({"live_since": None}, {}),
        ({"live_since": NOW + timedelta(seconds=1)}, {}),
        ({"clock_stopped_at": NOW}, {}),
        ({}, {"occurred_at": LIVE_SINCE - timedelta(seconds=1)}),
        ({}, {"kind": "leave"}),
    ],
    ids=["roster", "edit", "never live", "live later", "simulated", "before live", "leaving"],
)
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
@pytest.mark.sampled(2)
def test_transitions_that_must_not_start_runs_or_draws_do_not(
    course: dict, transition: dict, is_busy: bool
) -> None:
    enrollment = make_evaluated(make_live_course(**course))
    cadence = make_cadence()
    other = make_any_segment()
    make_experiment(other)
    for segment in (cadence.segment, other):
        make_transition(enrollment, segment, **transition)
    if is_busy:
        # Enrollments without work are skipped. One with a run to end must not be skipped with them.
        leaving = make_run(enrollment, make_cadence(), next_at=NOW, next_position=0)
        make_transition(enrollment, leaving.cadence.segment, "leave", starts=False)

    assert react_due(now=NOW) == 2 + is_busy

    assert [status for _, status, _ in runs()] == ["exited"] * is_busy
    assert not Assignment.objects.exists()


@pytest.mark.parametrize("status", [CadenceStatus.DRAFT, CadenceStatus.ARCHIVED])
def test_a_cadence_that_is_not_active_starts_nothing(status: str) -> None:
    enrollment, cadence = make_evaluated(), make_cadence(status=status)
    make_transition(enrollment, cadence.segment)

    react_due(now=NOW)

    assert runs() == []


def test_leaving_starts_the_cadences_of_leaving() -> None:
    enrollment, cadence = make_evaluated(), make_cadence(trigger="leave")
    make_transition(enrollment, cadence.segment, "enter")
    make_transition(enrollment, cadence.segment, "leave")

    react_due(now=NOW)

    assert runs() == [(enrollment.pk, "active", False)]


def test_leaving_ends_the_run_and_drops_what_is_planned() -> None:
    enrollment, cadence = make_evaluated(), make_cadence()
    experiment = make_experiment(cadence.segment, start=False)
    assignment = assign(enrollment, arm_of(experiment, "nudge"))
    run = make_run(enrollment, cadence, assignment=assignment)
    delivery = make_delivery(enrollment, run=run)
    make_transition(enrollment, cadence.segment, "leave", cause="edit", starts=False)

    react_due(now=NOW)

    run.refresh_from_db()
    delivery.refresh_from_db()
    assert (run.status, run.exit_reason, run.ended_at) == ("exited", "left_segment", NOW)
    assert (run.next_position, run.next_at) == (None, None)
    assert (delivery.state, delivery.reason) == ("dropped", "left_segment")
    assert DeliveryOutcome.objects.get().outcome == "dropped"


def test_a_claimed_message_stays_when_the_run_ends() -> None:
    enrollment, cadence = make_evaluated(), make_cadence()
    run = make_run(enrollment, cadence)
    claimed = {
        "state": "claimed",
        "claimed_at": NOW,
        "lease_until": NOW + timedelta(minutes=15),
        "token": "3e0b7b5c-0000-4000-8000-000000000000",
    }
    delivery = make_delivery(enrollment, run=run, **claimed)
    make_transition(enrollment, cadence.segment, "leave")

    react_due(now=NOW)

    delivery.refresh_from_db()
    assert delivery.state == "claimed"


def test_a_run_that_is_to_go_on_survives_leaving_but_not_the_end_of_the_course() -> None:
    enrollment, cadence = make_evaluated(), make_cadence(exit_on_leave=False)
    run = make_run(enrollment, cadence, next_at=NOW, next_position=0)
    make_transition(enrollment, cadence.segment, "leave")
    react_due(now=NOW)
    run.refresh_from_db()
    assert run.status == "active"

    make_transition(enrollment, cadence.segment, "leave", cause="course_over", starts=False)
    react_due(now=NOW)

    run.refresh_from_db()
    assert (run.status, run.exit_reason) == ("exited", "course_over")


def test_entering_leaving_and_entering_again_is_handled_in_order() -> None:
    enrollment = make_evaluated()
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(0))
    for kind in ("enter", "leave", "enter"):
        make_transition(enrollment, cadence.segment, kind)

    react_due(now=NOW)

    assert [status for _, status, _ in runs()] == ["exited", "active"]


@pytest.mark.parametrize(
    ("reentry", "ended_ago", "starts"),
    [
        ({"reentry": "never"}, timedelta(days=300), False),
        (
            {"reentry": "cooldown", "cooldown": timedelta(days=7)},
            timedelta(days=6, hours=23),
            False,
        ),
        ({"reentry": "cooldown", "cooldown": timedelta(days=7)}, timedelta(days=7), True),
    ],
    ids=["never", "too early", "cooled down"],
)
def test_re_entry(reentry: dict, ended_ago: timedelta, starts: bool) -> None:
    enrollment, cadence = make_evaluated(), make_cadence(**reentry)
    ended_at = NOW - ended_ago
    make_run(enrollment, cadence, status="finished", started_at=ended_at, ended_at=ended_at)
    make_transition(enrollment, cadence.segment)

    react_due(now=NOW)

    begins = [run for run in Run.objects.filter(status="active") if run.waits_until is None]
    assert len(begins) == starts


def test_an_active_run_prevents_a_second_one() -> None:
    enrollment = make_evaluated()
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(0), exit_on_leave=False)
    make_run(enrollment, cadence, next_at=NOW, next_position=0)
    make_transition(enrollment, cadence.segment)

    react_due(now=NOW)

    assert len(runs()) == 1


def test_a_run_whose_last_message_went_out_allows_another() -> None:
    enrollment = make_evaluated()
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(0))
    make_run(enrollment, cadence)
    make_transition(enrollment, cadence.segment)

    react_due(now=NOW)

    assert [status for _, status, _ in runs()] == ["finished", "active"]


def test_the_arm_decides_between_messages_and_ghosts() -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment)
    nudge, control = arm_of(experiment, "nudge"), arm_of(experiment, "control")
    make_cadence(segment=segment, arm=nudge, ghost_for=control)
    enrollments = [make_evaluated() for _ in range(12)]
    for enrollment in enrollments:
        make_transition(enrollment, segment)

    react_due(now=NOW)

    drawn = dict(Assignment.objects.values_list("enrollment_id", "arm__key"))
    assert set(drawn) == {each.pk for each in enrollments}
    assert set(drawn.values()) == {"control", "nudge"}
    assert {(each, ghost) for each, _, ghost in runs()} == {
        (each, arm == "control") for each, arm in drawn.items()
    }
    for run in Run.objects.select_related("assignment"):
        assert run.assignment.enrollment_id == run.enrollment_id


def test_control_learners_get_nothing_from_a_cadence_without_ghosts() -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment)
    make_cadence(segment=segment, arm=arm_of(experiment, "nudge"))
    enrollment = make_evaluated()
    assign(enrollment, arm_of(experiment, "control"))
    make_transition(enrollment, segment)

    react_due(now=NOW)

    assert runs() == []


def make_failing(*enrollments: Enrollment) -> Cadence:
    """Return a cadence that cannot start for these enrollments, because their zone is unknown."""
    learners = [enrollment.learner_id for enrollment in enrollments]
    Learner.objects.filter(pk__in=learners).update(time_zone="No/Where")
    template = make_template()
    return make_cadence(template=template, steps=[StepFields(template, timedelta(days=1))])


def test_a_failing_enrollment_delays_no_other() -> None:
    bad, good = make_evaluated(), make_evaluated()
    cadence, failing = make_cadence(), make_failing(bad)
    make_run(bad, cadence, next_position=0, next_at=NOW)
    transition = make_transition(bad, cadence.segment, "leave")
    make_transition(bad, failing.segment)
    make_transition(good, cadence.segment)

    assert react_due(now=NOW) == 1

    transition.refresh_from_db()
    assert (transition.processed_at, transition.attempts) == (None, 1)
    assert "Error" in transition.error
    assert transition.next_attempt_at == NOW + timedelta(seconds=30)
    assert runs() == [(bad.pk, "active", False), (good.pk, "active", False)]
    assert react_due(now=NOW + timedelta(seconds=29)) == 0


@pytest.mark.slow
def test_a_failure_among_many_needs_few_queries_and_keeps_the_time_limit() -> None:
    course, cadence = make_live_course(), make_cadence()
    enrollments = [make_evaluated(course) for _ in range(64)]
    failing = make_failing(enrollments[40])
    for enrollment in enrollments:
        make_transition(enrollment, cadence.segment)
    make_transition(enrollments[40], failing.segment)

    with CaptureQueriesContext(connection) as captured:
        assert react_due(now=NOW) == 63
    # The failing enrollment is found in six halvings with two batches each.
    assert len(captured) < 13 * 25
    assert react._react_safely([enrollments[40].pk], NOW, time.monotonic() - 1) == 0
    assert Transition.objects.get(segment=failing.segment).attempts == 1


def test_a_pause_of_ten_thousand_years_is_not_a_failure() -> None:
    enrollment, before = make_evaluated(), NOW - timedelta(days=1)
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(days=5_000_000))
    make_run(enrollment, cadence, status="finished", started_at=before, ended_at=before)
    make_transition(enrollment, cadence.segment)

    assert react_due(now=NOW) == 1
    assert [status for _, status, _ in runs()] == ["finished"]


def test_a_run_whose_last_message_went_out_has_finished_when_its_segment_is_left() -> None:
    enrollment, cadence = make_evaluated(), make_cadence()
    make_run(enrollment, cadence)
    make_transition(enrollment, cadence.segment, "leave")

    react_due(now=NOW)

    assert [status for _, status, _ in runs()] == ["finished"]


def lines_run(work, *, module) -> int:
    """Return the number of executed lines of the module, counting every loop iteration."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        if frame.f_code.co_filename != module.__file__:
            return None
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.slow
def test_twice_as_many_transitions_of_one_enrollment_take_twice_the_work() -> None:
    def react_to(number):
        enrollment, cadence = (
            make_evaluated(),
            make_cadence(reentry="cooldown", cooldown=timedelta()),
        )
        for place in range(number):
            kind = "leave" if place % 2 else "enter"
            make_transition(enrollment, cadence.segment, kind)
        return lines_run(lambda: react_due(now=NOW), module=reactions)

    assert react_to(200) < 2.2 * react_to(100)
    assert Run.objects.filter(status="exited").count() == 150
