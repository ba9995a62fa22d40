"""The react stage: an enrollment's transitions, in order, become draws, runs and exits."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from activity.models import Due, Enrollment
from common.database import is_outage
from experiments.models import Assignment
from experiments.operations import draw_arm
from experiments.queries import assignments_of, running_experiments
from interventions.models import Cadence, CadenceStatus, Reentry, Run, RunStatus, Trigger
from interventions.operations.runs import Start, close_runs, exit_runs, lock_active_runs, start_run
from interventions.queries.idle import idle_transitions
from segmentation.models import Transition, TransitionCause, TransitionKind
from segmentation.operations import fail_transitions, mark_processed
from segmentation.queries import enrollments_to_react, open_transitions

BATCH = 500
LEFT_SEGMENT = "left_segment"
COURSE_OVER = "course_over"

log = logging.getLogger(__name__)


@dataclass
class _Case:
    """One enrollment's transitions being handled."""

    enrollment: Enrollment
    now: datetime
    runs: list[Run]
    assignments: dict[int, Assignment] | None = field(default=None)

    def assignment_to(self, arm_id: int) -> Assignment | None:
        """Return the enrollment's assignment to the arm, if it was drawn into it."""
        if self.assignments is None:
            found = assignments_of(self.enrollment.pk)
            self.assignments = {assignment.arm_id: assignment for assignment in found}
        return self.assignments.get(arm_id)


class _Cadences:
    """The active cadences by what triggers them, read once a batch."""

    def __init__(self) -> None:
        self._by_trigger: dict[tuple[Any, Any], list[Cadence]] = defaultdict(list)
        active = Cadence.objects.filter(status=CadenceStatus.ACTIVE).exclude(trigger=Trigger.MANUAL)
        for cadence in active.order_by("priority", "pk").prefetch_related("steps"):
            self._by_trigger[cadence.trigger, cadence.segment_id].append(cadence)

    def started_by(self, transition: Transition) -> list[Cadence]:
        """Return the cadences that this transition starts."""
        # The kinds of transitions and the triggers have the same names.
        return self._by_trigger.get((transition.kind, transition.segment_id), [])


def react_due(*, now: datetime, budget_seconds: float = 30.0) -> int:
    """Handle the transitions that wait, and return how many.

    Those that change nothing are passed over, a batch at once; of the others each enrollment has
    a transaction of its own. A failure puts off that enrollment alone. Stops when nothing waits or
    the time is used up.
    """
    deadline = time.monotonic() + budget_seconds
    handled = 0
    tried: set[int] = set()
    while time.monotonic() < deadline:
        waiting = [each for each in enrollments_to_react(now=now, limit=BATCH) if each not in tried]
        if not waiting:
            break
        idle = _pass_over_idle(waiting, now)
        handled += len(idle)
        tried.update(idle.values())
        cadences = _Cadences()
        for enrollment_id in (each for each in waiting if each not in tried):
            if time.monotonic() >= deadline:
                break
            tried.add(enrollment_id)
            handled += _react_safely(enrollment_id, cadences, now)
    return handled


@transaction.atomic
def _pass_over_idle(enrollment_ids: Sequence[int], now: datetime) -> dict[int, int]:
    """Mark what starts and ends nothing as handled. Return the enrollments by transition."""
    due = Due.objects.select_for_update(no_key=True, skip_locked=True)
    rows = due.filter(pk__in=enrollment_ids).order_by("pk")
    idle = dict(idle_transitions(list(rows.values_list("pk", flat=True))))
    mark_processed(idle, now=now)
    return idle


def _react_safely(enrollment_id: int, cadences: _Cadences, now: datetime) -> int:
    try:
        return _react(enrollment_id, cadences, now)
    except Exception as error:
        if is_outage(error):
            raise
        log.exception("Transitions of enrollment %s failed", enrollment_id)
        waiting = [transition.pk for transition in open_transitions(enrollment_id)]
        fail_transitions(waiting, now=now, error=f"{type(error).__name__}: {error}")
        return 0


@transaction.atomic
def _react(enrollment_id: int, cadences: _Cadences, now: datetime) -> int:
    rows = Due.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
    due = rows.select_related("enrollment__course").filter(pk=enrollment_id).first()
    if due is None:
        # Evaluate or another worker has it; it waits for the next beat.
        return 0
    transitions = open_transitions(enrollment_id)
    if not transitions:
        return 0
    if any(_may_start_again(transition, cadences) for transition in transitions):
        # A run whose last message went out a moment ago must not stand in the way of the next.
        close_runs(now=now, enrollment_id=enrollment_id)
    # All run locks before the first draw or exposure: experiments come last in the lock order.
    runs = lock_active_runs([enrollment_id]) if any(map(_may_end_runs, transitions)) else []
    case = _Case(due.enrollment, now, runs)
    for transition in transitions:
        _handle(transition, cadences, case)
    mark_processed([transition.pk for transition in transitions], now=now)
    return len(transitions)


def _may_start_again(transition: Transition, cadences: _Cadences) -> bool:
    return any(each.reentry != Reentry.NEVER for each in cadences.started_by(transition))


def _may_end_runs(transition: Transition) -> bool:
    ends = transition.cause == TransitionCause.COURSE_OVER
    return ends or transition.kind == TransitionKind.LEAVE


def _handle(transition: Transition, cadences: _Cadences, case: _Case) -> None:
    _exit(transition, case)
    if not transition.starts or not _is_live(transition, case):
        return
    if transition.kind == TransitionKind.ENTER:
        _draw(transition, case)
    _start(cadences.started_by(transition), transition, case)


def _is_live(transition: Transition, case: _Case) -> bool:
    course = case.enrollment.course
    # What happened before the course went live is not made up for.
    return (
        course.clock_stopped_at is None
        and course.live_since is not None
        and course.live_since <= transition.occurred_at
    )


def _exit(transition: Transition, case: _Case) -> None:
    if transition.cause == TransitionCause.COURSE_OVER:
        leaving, reason = list(case.runs), COURSE_OVER
    elif transition.kind == TransitionKind.LEAVE:
        leaving, reason = [run for run in case.runs if _ends_with(run, transition)], LEFT_SEGMENT
    else:
        return
    exit_runs(leaving, reason=reason, now=case.now)
    case.runs = [run for run in case.runs if run.status == RunStatus.ACTIVE]


def _ends_with(run: Run, transition: Transition) -> bool:
    cadence = run.cadence
    return (
        cadence.exit_on_leave
        and cadence.trigger == Trigger.ENTER
        and cadence.segment_id == transition.segment_id
    )


def _draw(transition: Transition, case: _Case) -> None:
    for experiment in running_experiments(transition.segment_id):
        draw_arm(experiment.pk, case.enrollment.pk, now=case.now)
        case.assignments = None


def _start(cadences: Sequence[Cadence], transition: Transition, case: _Case) -> None:
    for cadence in cadences:
        start = _start_of(cadence, transition, case)
        run = None if start is None else start_run(cadence, start, now=case.now)
        if run is not None:
            case.runs.append(run)


def _start_of(cadence: Cadence, transition: Transition, case: _Case) -> Start | None:
    """Return whether and how the enrollment starts: as everybody, as treated, or as a ghost."""
    if cadence.arm_id is None:
        return Start(case.enrollment.pk, transition.pk)
    treated = case.assignment_to(cadence.arm_id)
    if treated is not None:
        return Start(case.enrollment.pk, transition.pk, treated.pk)
    control = None if cadence.ghost_for_id is None else case.assignment_to(cadence.ghost_for_id)
    if control is None:
        return None
    return Start(case.enrollment.pk, transition.pk, control.pk, ghost=True)
