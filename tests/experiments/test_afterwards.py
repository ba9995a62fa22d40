"""The arm that a cadence sees after the end, or after a learner has changed section."""

from typing import Any

import pytest

from activity.models import Course, Enrollment, Section
from experiments.models import Arm, Assignment, Experiment
from experiments.operations import draw_arms, name_winner, stop_experiment
from interventions.models import Run
from interventions.operations import save_cap
from interventions.queries.arms import capped_arms
from interventions.queries.limits import read_limits
from interventions.stages.react import react_due
from tests.factories import NOW
from tests.interventions.factories import (
    arm_of,
    make_any_segment,
    make_cadence,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_transition,
)

pytestmark = pytest.mark.django_db

SECTIONS = {"unit": "section", "method": "cluster"}


def trial(course: Course, **fields: Any) -> Experiment:
    """Return a running experiment whose cadence messages one arm and ghosts the other."""
    segment = make_any_segment(course)
    experiment = make_experiment(segment, **fields)
    control, nudge = (arm_of(experiment, key) for key in ("control", "nudge"))
    make_cadence(segment=segment, arm=nudge, ghost_for=control)
    return experiment


def drawn(experiment: Experiment, enrollments: list[Enrollment]) -> dict[str, Assignment]:
    """Return an assignment of each arm."""
    found = draw_arms(experiment.pk, [each.pk for each in enrollments], now=NOW)
    return {each.arm.key: each for each in found.values()}


def enter(experiment: Experiment, *assignments: Assignment) -> list[tuple[str, bool, bool]]:
    """Let the enrollments enter, and return of each run the drawn arm, ghost, and if it counts."""
    for each in assignments:
        make_transition(each.enrollment, experiment.segment)
    react_due(now=NOW)
    arms = {each.enrollment_id: each.arm.key for each in assignments}
    runs = Run.objects.order_by("enrollment_id")
    return sorted(
        (arms[run.enrollment_id], run.ghost, run.assignment_id is not None) for run in runs
    )


@pytest.mark.parametrize(
    ("fields", "winner", "expected"),
    [
        ({}, "", [("control", True, True), ("nudge", False, True)]),
        ({"afterwards": "winner"}, "", [("control", True, True), ("nudge", False, True)]),
        ({"afterwards": "winner"}, "nudge", [("control", False, False), ("nudge", False, True)]),
        (
            {"afterwards": "one_arm", "afterwards_arm": "nudge"},
            "",
            [("control", False, False), ("nudge", False, True)],
        ),
        (
            {"afterwards": "one_arm", "afterwards_arm": "control"},
            "",
            [("control", True, True), ("nudge", True, True)],
        ),
    ],
    ids=["keep", "no winner yet", "winner", "all nudged", "all control"],
)
def test_after_the_end_cadences_follow_the_protocol(
    fields: dict[str, str], winner: str, expected: list[tuple[str, bool, bool]]
) -> None:
    course = make_live_course()
    experiment = trial(course, method="blocks", block_sizes="smallest", **fields)
    both = drawn(experiment, [make_evaluated(course) for _ in range(2)])
    stop_experiment(experiment.pk, now=NOW)
    if winner:
        name_winner(experiment.pk, winner, now=NOW)

    assert enter(experiment, *both.values()) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("keep", [("control", True, True)]),
        ("follow", [("control", False, True)]),
        ("exclude", []),
    ],
)
def test_a_learner_who_moved_gets_what_the_rule_says(
    rule: str, expected: list[tuple[str, bool, bool]]
) -> None:
    course = make_live_course()
    members = [make_evaluated(course) for _ in range(2)]
    for number, each in enumerate(members):
        each.section = Section.objects.create(course=course, key=f"class-{number}")
        each.save()
    experiment = trial(course, section_rule=rule, **SECTIONS)
    both = drawn(experiment, members)
    control, nudge = both["control"], both["nudge"]
    Enrollment.objects.filter(pk=control.enrollment_id).update(section=nudge.enrollment.section)

    assert enter(experiment, control) == expected


def test_a_start_draws_the_present_sections() -> None:
    course = make_live_course()
    enrollment = make_evaluated(course)
    enrollment.section = Section.objects.create(course=course, key="class")
    enrollment.save()
    experiment = trial(course, **SECTIONS)

    assert experiment.section_draws.get().size == 1
    assert not Assignment.objects.exists()
    make_transition(enrollment, experiment.segment)
    react_due(now=NOW)
    assert Assignment.objects.get().arm == Arm.objects.get(section_draws__isnull=False)


def test_entries_into_two_segments_of_a_playbook_are_one_draw() -> None:
    course = make_live_course()
    first = make_any_segment(course)
    second = make_any_segment(course)
    first.playbook.segments.add(second)
    experiment = make_experiment(first, method="blocks")
    Experiment.objects.filter(pk=experiment.pk).update(segment=None, playbook=first.playbook)
    enrollments = [make_evaluated(course) for _ in range(4)]
    for place, each in enumerate(enrollments):
        make_transition(each, (first, second)[place % 2])
    react_due(now=NOW)

    rows = Assignment.objects.order_by("position").values_list("position", flat=True)
    assert list(rows) == [0, 1, 2, 3]


@pytest.mark.parametrize(("afterwards", "capped"), [("keep", "control"), ("winner", "nudge")])
def test_after_the_end_the_cap_is_that_of_the_arm_that_holds(
    afterwards: str, capped: str, django_assert_num_queries
) -> None:
    course = make_live_course()
    experiment = trial(course, method="blocks", block_sizes="smallest", afterwards=afterwards)
    control, nudge = (arm_of(experiment, key) for key in ("control", "nudge"))
    for place, arm in enumerate((control, nudge), start=1):
        save_cap(f"cap {place}", limit=place, window="rolling_hours", length=24, arm=arm)
    both = drawn(experiment, [make_evaluated(course) for _ in range(2)])
    one = both["control"].enrollment
    limits = read_limits()
    with django_assert_num_queries(1):
        assert capped_arms([one.learner_id], limits=limits) == {one.pk: {control.pk}}

    stop_experiment(experiment.pk, now=NOW)
    if afterwards == "winner":
        name_winner(experiment.pk, "nudge", now=NOW)
    expected = arm_of(experiment, capped).pk
    assert capped_arms([one.learner_id], limits=limits) == {one.pk: {expected}}
