"""Handling a batch of enrollments has the same result as handling each alone."""

from datetime import timedelta
from random import Random

import pytest
from django.db import connection, transaction

from experiments.models import Assignment, DeliveryOutcome
from interventions.models import Delivery, Run
from interventions.operations.reactions import handle_transitions
from interventions.stages import react
from interventions.stages.react import react_due
from segmentation.models import Transition
from segmentation.queries import open_transitions
from tests.factories import NOW
from tests.interventions.factories import (
    arm_of,
    assign,
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
    make_transition,
)
from tests.long import longer

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

BEFORE = NOW - timedelta(days=1)
DONE = {"status": "finished", "started_at": BEFORE, "ended_at": BEFORE}
GOING = {"started_at": BEFORE, "next_position": 0, "next_at": NOW}


def state_of(enrollment_id: int) -> tuple:
    """Return all data of an enrollment that reacting can change, without new ids."""
    runs = Run.objects.filter(enrollment=enrollment_id).order_by("cadence", "transition", "status")
    deliveries = Delivery.objects.filter(enrollment=enrollment_id).order_by("pk")
    outcomes = DeliveryOutcome.objects.filter(assignment__enrollment=enrollment_id)
    return (
        list(
            runs.values_list(
                "cadence", "transition", "assignment__arm", "ghost", "status", "exit_reason",
                "started_at", "ended_at", "next_position", "next_at",
            )
        ),
        list(deliveries.values_list("pk", "state", "reason")),
        sorted(Assignment.objects.filter(enrollment=enrollment_id).values_list("arm", flat=True)),
        sorted(outcomes.values_list("delivery_key", "outcome", "reason")),
        Transition.objects.filter(enrollment=enrollment_id, processed_at=None).count(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "seed",
    [0, *longer("test_a_batch_changes_what_one_by_one_would_change", *range(1, 8))],
)
def test_a_batch_changes_what_one_by_one_would_change(seed: int) -> None:
    enrollments = random_world(Random(seed))
    before = {each.pk: state_of(each.pk) for each in enrollments}
    with transaction.atomic():
        for enrollment_id in before:
            react._react([enrollment_id], NOW)
        singly = {enrollment_id: state_of(enrollment_id) for enrollment_id in before}
        transaction.set_rollback(True)

    assert {each: state_of(each) for each in before} == before
    assert react_due(now=NOW) == Transition.objects.count()
    together = {enrollment_id: state_of(enrollment_id) for enrollment_id in before}
    assert together == singly
    changed = [each for each in before if together[each][:4] != before[each][:4]]
    assert 5 < len(changed) < len(before)


def test_an_arm_that_is_drawn_later_starts_nothing_earlier() -> None:
    drawing, other = make_any_segment(), make_any_segment()
    experiment = make_experiment(drawing)
    for key in ("control", "nudge"):
        make_cadence(segment=other, arm=arm_of(experiment, key))
    enrollment = make_evaluated()
    make_transition(enrollment, other)
    make_transition(enrollment, drawing)

    react_due(now=NOW)

    assert Assignment.objects.count() == 1
    assert not Run.objects.exists()


def test_a_run_that_starts_and_ends_in_one_batch_is_kept_with_its_reason() -> None:
    enrollment = make_evaluated()
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(0))
    for kind in ("enter", "leave", "enter", "leave", "enter"):
        make_transition(enrollment, cadence.segment, kind)

    react_due(now=NOW)

    runs = Run.objects.order_by("transition")
    assert list(runs.values_list("status", "exit_reason")) == [
        ("exited", "left_segment"),
        ("exited", "left_segment"),
        ("active", ""),
    ]


def test_nothing_of_a_batch_is_written_before_all_of_it_is() -> None:
    cadence = make_cadence()
    enrollments = {each.pk: each for each in (make_evaluated(), make_evaluated())}
    for enrollment in enrollments.values():
        make_transition(enrollment, cadence.segment)
    transitions = open_transitions(enrollments)
    written: list[str] = []

    def note(execute, sql, *rest):
        written.append(sql.split()[0])
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        handle_transitions(transitions, enrollments, now=NOW)

    assert written.count("INSERT") == 1
    assert Run.objects.count() == 2


def random_world(random: Random) -> list:
    """Return enrollments of one course with random runs, messages, draws and transitions."""
    course = make_live_course()
    segments = [make_any_segment(course) for _ in range(4)]
    experiment = make_experiment(segments[0])
    control, nudge = (arm_of(experiment, key) for key in ("control", "nudge"))
    again = {"reentry": "cooldown", "cooldown": timedelta(0)}
    cadences = [
        make_cadence(segment=segments[0], arm=nudge, ghost_for=random.choice([control, None])),
        make_cadence(segment=segments[1], trigger=random.choice(["enter", "leave"])),
        make_cadence(segment=segments[2], exit_on_leave=random.random() < 0.5, **again),
        make_cadence(segment=segments[2], arm=nudge, **again),
    ]
    enrollments = [make_evaluated(course) for _ in range(25)]
    for enrollment in enrollments:
        arm = random.choice([control, nudge, None])
        assignment = None if arm is None else assign(enrollment, arm)
        for cadence in random.sample(cadences, random.randint(0, 4)):
            of_arm = {"assignment": assignment} if cadence.arm_id else {}
            run = make_run(enrollment, cadence, **random.choice([DONE, GOING]), **of_arm)
            if run.status == "active" and random.random() < 0.5:
                make_delivery(run=run)
        for segment in random.choices(segments, k=random.randint(1, 4)):
            make_transition(
                enrollment,
                segment,
                random.choice(["enter", "leave"]),
                starts=random.random() < 0.8,
                cause=random.choice(["event", "time", "event", "time", "course_over"]),
            )
    return enrollments
