"""The plan stage: write ledger rows for runs whose next step is due."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from common.back_off import OF_A_FAILED_ROW
from common.database import (
    check_references,
    is_held,
    is_outage,
    passing_over_held,
    wait_shortly,
)
from common.stored_text import storable_text
from common.tally import note
from experiments.operations import AssignedDelivery, record_delivery_outcomes
from interventions.models import Cadence, Delivery, DeliveryState, Run, RunStatus, Step
from interventions.operations.runs import close_runs, exit_runs
from interventions.policy.decision import Reason
from interventions.policy.durations import later
from interventions.queries.due import lock_due_runs
from interventions.queries.goals import GOAL
from interventions.queries.runs import delivery_of, is_over, zone_of
from segmentation.queries import match_rule
from segmentation.rules import parse

BATCH_SIZE = 500
CONDITION = "condition"

log = logging.getLogger(__name__)

_ADVANCE = """
UPDATE interventions_run AS run
SET next_position = next.position, next_at = next.at, waits_until = NULL, attempts = 0, error = '',
    retry_at = NULL
FROM unnest(%(runs)s::bigint[], %(positions)s::smallint[], %(instants)s::timestamptz[])
    AS next (run_id, position, at)
WHERE run.id = next.run_id
"""


@dataclass(frozen=True)
class CadenceRuns:
    """Runs of one cadence to plan at one instant, with the cadence's steps in order."""

    cadence: Cadence
    steps: tuple[Step, ...]
    runs: tuple[Run, ...]
    now: datetime


def plan_due(*, now: datetime, budget_seconds: float = 30.0) -> int:
    """Write deliveries for the runs whose next step is due, and return the number of steps.

    Each batch is one transaction. A run that cannot be planned is postponed with its error, and the
    others continue. It stops when nothing is due or the time is used up.
    """
    deadline = time.monotonic() + budget_seconds
    planned = _plan_batch(now)
    total = planned
    while planned and time.monotonic() < deadline:
        planned = _plan_batch(now)
        total += planned
    with passing_over_held():
        close_runs(now=now)
    return total


@transaction.atomic
def _plan_batch(now: datetime) -> int:
    count = 0
    for cadence_id, runs in lock_due_runs(now=now, limit=BATCH_SIZE):
        steps = Step.objects.filter(cadence=cadence_id).order_by("position")
        due = CadenceRuns(runs[0].cadence, tuple(steps), tuple(runs), now)
        if _failure(due) is not None:
            # Planned one by one, only the failing run is postponed.
            _plan_singly(due)
        count += len(runs)
    return count


def _plan_singly(due: CadenceRuns) -> None:
    wait_shortly()
    for run in due.runs:
        error = _failure(replace(due, runs=(run,)))
        if error is not None:
            if not is_held(error):
                log.error("Run %s cannot be planned", run.pk, exc_info=error)
            _put_off(run, error, due.now)


def _failure(due: CadenceRuns) -> Exception | None:
    """Plan the runs under a savepoint. Return the error, if there was one."""
    try:
        with transaction.atomic():
            _plan(due)
            check_references()
    except Exception as error:
        if is_outage(error) and not is_held(error):
            # The database is down. That is no fault of a run, so no run is postponed.
            raise
        return error
    return None


def _plan(due: CadenceRuns) -> None:
    # A learner in no segment leaves none when the course ends, so no transition ends the run.
    over = [run for run in due.runs if is_over(due.cadence, run.enrollment, now=due.now)]
    exit_runs(over, reason=Reason.COURSE_OVER, now=due.now)
    _plan_open(replace(due, runs=tuple(run for run in due.runs if run.status == RunStatus.ACTIVE)))


def _plan_open(due: CadenceRuns) -> None:
    goal = due.cadence.goal_rule
    reached = set() if goal is None else _matching(goal, due.runs, due.now)
    exit_runs([run for run in due.runs if run.enrollment_id in reached], reason=GOAL, now=due.now)
    going = [
        (run, step)
        for run in due.runs
        if run.enrollment_id not in reached and (step := _next_step(due.steps, run)) is not None
    ]
    dropped = _write(due, going)
    _advance(due, {run.pk: step.following(met=run.pk not in dropped) for run, step in going})


def _next_step(steps: Sequence[Step], run: Run) -> Step | None:
    # If the step was removed meanwhile, the next one takes its place.
    position = run.next_position
    return next((s for s in steps if position is not None and s.position >= position), None)


def _matching(rule: Any, runs: Iterable[Run], now: datetime) -> set[int]:
    ids = [run.enrollment_id for run in runs]
    return match_rule(parse(rule), enrollment_ids=ids, as_of=now)


def _write(due: CadenceRuns, going: Sequence[tuple[Run, Step]]) -> set[int]:
    """Write the deliveries. Return the ids of the runs whose step was dropped."""
    dropped = _unmet(going, due.now)
    rows = [_delivery(due, run, step, drop=run.pk in dropped) for run, step in going]
    # A step that was planned before, because positions were edited, is not planned again.
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    assigned = {run.pk: run.assignment_id for run, _ in going if run.assignment_id is not None}
    _tell(assigned, [row.key for row in rows if row.run_id in assigned], due.now)
    return dropped


def _tell(assigned: Mapping[int, int], keys: Sequence[UUID], now: datetime) -> None:
    """Record the outcomes of new deliveries for experiments. `assigned` are assignments by run."""
    if not keys:
        return
    # A key whose row was not written is missing here.
    new = list(Delivery.objects.filter(key__in=keys).order_by("id"))
    for state in (DeliveryState.PLANNED, DeliveryState.DROPPED):
        told = [
            AssignedDelivery(assigned[row.run_id], row.key, row.reason)
            for row in new
            if row.state == state
        ]
        record_delivery_outcomes(told, outcome=state, at=now)


def _unmet(going: Sequence[tuple[Run, Step]], now: datetime) -> set[int]:
    """Return the ids of the runs whose step has a condition that is not met."""
    unmet: set[int] = set()
    for step in {step.pk: step for _, step in going if step.condition is not None}.values():
        runs = [run for run, of_run in going if of_run.pk == step.pk]
        met = _matching(step.condition, runs, now)
        unmet |= {run.pk for run in runs if run.enrollment_id not in met}
    return unmet


def _delivery(due: CadenceRuns, run: Run, step: Step, *, drop: bool) -> Delivery:
    planned = delivery_of(run, step, planned_at=run.next_at or due.now)
    if drop:
        planned.state, planned.reason = DeliveryState.DROPPED, CONDITION
        planned.finished_at = due.now
        entry = {"at": due.now.isoformat(), "state": "dropped", "reason": CONDITION}
        planned.trace = [entry]
    return planned


def _advance(due: CadenceRuns, positions: Mapping[int, int]) -> None:
    """Set each run to the step at its position or behind. Without one it waits to be closed."""
    runs = [run for run in due.runs if run.status == RunStatus.ACTIVE]
    following = [_after(due.steps, run, positions.get(run.pk)) for run in runs]
    values: dict[str, Any] = {
        "runs": [run.pk for run in runs],
        "positions": [position for position, _ in following],
        "instants": [instant for _, instant in following],
    }
    with connection.cursor() as cursor:
        cursor.execute(_ADVANCE, values)


def _after(
    steps: Sequence[Step], run: Run, position: int | None
) -> tuple[int | None, datetime | None]:
    following = next((s for s in steps if position is not None and s.position >= position), None)
    if following is None or run.next_at is None:
        return None, None
    # Counted from the planned instant, not from now, so that a late stage delays no later step.
    return following.position, later(run.next_at, following.delay, zone=zone_of(run.enrollment))


def _put_off(run: Run, error: Exception, now: datetime) -> None:
    run.attempts = min(run.attempts + 1, 1_000)
    run.error = storable_text(f"{type(error).__name__}: {error}")
    run.retry_at = now + OF_A_FAILED_ROW.after(run.attempts)
    run.save(update_fields=["attempts", "error", "retry_at"])
    note("runs put off", type(error).__name__)
