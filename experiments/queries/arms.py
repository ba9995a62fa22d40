"""The arm whose messages an enrollment gets now, which may differ from the one that was drawn."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from activity.models import Enrollment
from experiments.design import ENROLLMENT, EXCLUDE, KEEP, ONE_ARM, SECTION, WINNER, Design
from experiments.models import Arm, Assignment, Experiment, ExperimentStatus, SectionDraw
from experiments.protocol import ProtocolError, read_protocol

_OVER = (ExperimentStatus.STOPPED, ExperimentStatus.ARCHIVED)


def arms_now(assignments: Iterable[Assignment]) -> dict[int, int | None]:
    """Return by assignment the arm that holds now, or None if the enrollment gets no more messages.

    While the experiment runs, it is the drawn arm, except for learners who have changed section.
    After the end, the protocol may give everybody one arm, or the winner to the control. Reports
    never ask this: they compare the arms as drawn. The experiments must be loaded. No query unless
    a design needs one, at most three.
    """
    assignments = list(assignments)
    found: dict[int, int | None] = {each.pk: each.arm_id for each in assignments}
    designs = {each.pk: _design(each.experiment.protocol) for each in assignments}
    moving = [each for each in assignments if _may_move(designs[each.pk])]
    if moving:
        found |= _of_moved(moving, designs)
    ended = [each for each in assignments if _changes_at_the_end(each, designs[each.pk])]
    if ended:
        found |= _after_the_end(ended, designs, found)
    return found


def may_hold_another(status: str, unit: str) -> bool:
    """Return whether an assignment of such an experiment may have another arm than was drawn."""
    return status in _OVER or unit == SECTION


# Many learners have the same protocol, and its text never changes.
@lru_cache(maxsize=64)
def _design(text: str) -> Design:
    try:
        return read_protocol(text).design
    except (ProtocolError, ValueError):
        # A later release wrote it. What was drawn holds.
        return Design(unit=ENROLLMENT)


def _may_move(design: Design) -> bool:
    return design.unit == SECTION and design.section_rule != KEEP


def _changes_at_the_end(assignment: Assignment, design: Design) -> bool:
    return assignment.experiment.status in _OVER and design.afterwards != KEEP


def _of_moved(
    assignments: Sequence[Assignment], designs: dict[int, Design]
) -> dict[int, int | None]:
    """Return the arms of those who now sit in another section than the one that gave the arm."""
    enrollments = [each.enrollment_id for each in assignments]
    seats = dict(Enrollment.objects.filter(pk__in=enrollments).values_list("pk", "section_id"))
    experiments = {each.experiment_id for each in assignments}
    rows = SectionDraw.objects.filter(
        experiment__in=experiments, section__in={seat for seat in seats.values() if seat}
    )
    draws = {(draw.experiment_id, draw.section_id): draw for draw in rows}
    found: dict[int, int | None] = {}
    for each in assignments:
        seat = seats.get(each.enrollment_id)
        draw = None if seat is None else draws.get((each.experiment_id, seat))
        if draw is not None and draw.pk == each.section_draw_id:
            continue
        if designs[each.pk].section_rule == EXCLUDE:
            found[each.pk] = None
        elif draw is not None:
            found[each.pk] = draw.arm_id
    return found


def _after_the_end(
    assignments: Sequence[Assignment],
    designs: dict[int, Design],
    before: dict[int, int | None],
) -> dict[int, int | None]:
    experiments = {each.experiment_id: each.experiment for each in assignments}
    rows = Arm.objects.filter(experiment__in=experiments)
    arms = {(arm.experiment_id, arm.key): arm for arm in rows}
    controls = {arm.pk for arm in arms.values() if arm.is_control}
    found: dict[int, int | None] = {}
    for each in assignments:
        key = _key_after_the_end(experiments[each.experiment_id], designs[each.pk])
        arm = arms.get((each.experiment_id, key))
        gets_it = designs[each.pk].afterwards == ONE_ARM or before[each.pk] in controls
        if arm is not None and gets_it and before[each.pk] is not None:
            found[each.pk] = arm.pk
    return found


def _key_after_the_end(experiment: Experiment, design: Design) -> str:
    return experiment.winner if design.afterwards == WINNER else design.afterwards_arm
