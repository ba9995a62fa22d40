"""Transitions passed over a batch at once: those that one by one would have changed nothing."""

from datetime import timedelta
from random import Random

import pytest
from django.db import transaction

from experiments.models import Assignment, Exposure
from interventions import react
from interventions.models import Delivery, Run
from interventions.queries.idle import idle_transitions
from interventions.react import react_due
from segmentation.models import Transition
from tests.factories import NOW
from tests.interventions.factories import (
    arm_of,
    assign,
    make_any_segment,
    make_cadence,
    make_experiment,
    make_live_course,
    make_run,
    make_settled,
    make_transition,
)

pytestmark = pytest.mark.django_db

BEFORE = NOW - timedelta(days=1)
DONE = {"status": "finished", "started_at": BEFORE, "ended_at": BEFORE}


def is_idle(enrollment) -> bool:
    return bool(idle_transitions([enrollment.pk]))


def test_entering_again_after_its_cadence_is_idle_and_is_handled_once(django_assert_num_queries):
    cadence = make_cadence()
    enrollments = [make_settled() for _ in range(3)]
    for enrollment in enrollments:
        make_run(enrollment, cadence, **DONE)
        make_transition(enrollment, cadence.segment)
        make_transition(enrollment, cadence.segment, "leave")
    # Twice the line, two of cadences, a transaction with three of its own: for any number of them.
    with django_assert_num_queries(9):
        assert react_due(now=NOW) == 6
    assert not Transition.objects.filter(processed_at__isnull=True).exists()
    assert Run.objects.count() == 3


@pytest.mark.parametrize("kind", ["enter", "leave"])
def test_segment_without_cadence_or_experiment_is_idle(kind):
    enrollment = make_settled()
    make_transition(enrollment, make_any_segment(), kind)
    assert is_idle(enrollment)


def test_first_entry_is_busy():
    enrollment, cadence = make_settled(), make_cadence()
    make_transition(enrollment, cadence.segment)
    assert not is_idle(enrollment)


def test_entry_that_may_start_again_after_a_pause_is_busy():
    enrollment = make_settled()
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(hours=1))
    make_run(enrollment, cadence, **DONE)
    make_transition(enrollment, cadence.segment)
    assert not is_idle(enrollment)


def test_entry_where_nobody_was_drawn_yet_is_busy_and_idle_when_drawn():
    enrollment, segment = make_settled(), make_any_segment()
    experiment = make_experiment(segment)
    make_transition(enrollment, segment)
    assert not is_idle(enrollment)
    assign(enrollment, arm_of(experiment, "control"))
    assert is_idle(enrollment)


def test_cadence_of_the_other_arm_is_idle_unless_it_ghosts_this_one():
    enrollment, segment = make_settled(), make_any_segment()
    experiment = make_experiment(segment)
    control, nudge = (arm_of(experiment, key) for key in ("control", "nudge"))
    assign(enrollment, control)
    make_transition(enrollment, segment)
    cadence = make_cadence(segment=segment, arm=nudge)
    assert is_idle(enrollment)
    cadence.ghost_for = control
    cadence.save()
    assert not is_idle(enrollment)


def test_leaving_with_a_run_to_end_is_busy():
    enrollment, cadence = make_settled(), make_cadence()
    make_run(enrollment, cadence)
    make_transition(enrollment, cadence.segment, "leave")
    assert not is_idle(enrollment)


def test_course_that_is_over_ends_every_run():
    enrollment = make_settled()
    make_run(enrollment)
    make_transition(enrollment, make_any_segment(), "leave", cause="course_over")
    assert not is_idle(enrollment)


def test_one_busy_transition_keeps_all_of_its_enrollment():
    enrollment, cadence = make_settled(), make_cadence()
    make_transition(enrollment, make_any_segment())
    make_transition(enrollment, cadence.segment)
    assert not is_idle(enrollment)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_passed_over_would_have_changed_nothing(seed):
    enrollments = _random_world(Random(seed))
    idle = {enrollment_id for _, enrollment_id in idle_transitions([e.pk for e in enrollments])}
    assert 0 < len(idle) < len(enrollments)
    for enrollment_id in idle:
        before = _state(enrollment_id)
        with transaction.atomic():
            assert react._react(enrollment_id, react._Cadences(), NOW) > 0
            assert _state(enrollment_id) == before


def _state(enrollment_id):
    runs = Run.objects.filter(enrollment=enrollment_id).order_by("pk")
    return (
        list(runs.values("pk", "status", "exit_reason", "next_at")),
        Assignment.objects.filter(enrollment=enrollment_id).count(),
        Delivery.objects.filter(enrollment=enrollment_id).count(),
        Exposure.objects.count(),
    )


def _random_world(random):
    course = make_live_course()
    segments = [make_any_segment(course) for _ in range(4)]
    experiment = make_experiment(segments[0])
    control, nudge = (arm_of(experiment, key) for key in ("control", "nudge"))
    cadences = [
        make_cadence(segment=segments[0], arm=nudge, ghost_for=random.choice([control, None])),
        make_cadence(segment=segments[1], trigger=random.choice(["enter", "leave"])),
        make_cadence(segment=segments[2], exit_on_leave=random.random() < 0.5),
    ]
    enrollments = [make_settled(course) for _ in range(25)]
    for enrollment in enrollments:
        if random.random() < 0.6:
            assign(enrollment, random.choice([control, nudge]))
        for cadence in random.sample(cadences, random.randint(0, 3)):
            make_run(
                enrollment, cadence, **random.choice([DONE, {"next_position": 0, "next_at": NOW}])
            )
        for segment in random.sample(segments, random.randint(1, 3)):
            make_transition(
                enrollment,
                segment,
                random.choice(["enter", "leave"]),
                starts=random.random() < 0.8,
                cause=random.choice(["event", "time", "course_over"]),
            )
    return enrollments
