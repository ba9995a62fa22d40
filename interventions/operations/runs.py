"""Start, exit and close runs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from activity.models import Enrollment
from activity.operations import lock_due
from interventions.models import (
    Cadence,
    CadenceStatus,
    Reentry,
    Run,
    RunStatus,
    Trigger,
)
from interventions.operations.errors import InterventionError
from interventions.operations.ledger import drop_planned
from interventions.policy.durations import later
from interventions.queries.runs import last_runs, zone_of

# Nobody is told anything because they did something more than a year ago.
LONGEST_WAIT = timedelta(days=366)

# Locked in order and never waited for: whoever holds a run is about to change it anyway.
_CLOSE = """
WITH closable AS (
    SELECT run.id FROM interventions_run AS run
    WHERE run.status = 'active' AND run.next_at IS NULL
        AND (%(enrollments)s::bigint[] IS NULL OR run.enrollment_id = ANY(%(enrollments)s))
        AND NOT EXISTS (
            SELECT FROM interventions_delivery AS delivery
            WHERE delivery.run_id = run.id AND delivery.state IN ('planned', 'claimed')
        )
    ORDER BY run.id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE interventions_run AS run
SET status = 'finished', ended_at = GREATEST(%(now)s, run.started_at)
FROM closable WHERE run.id = closable.id
RETURNING run.id
"""

_EXIT = """
UPDATE interventions_run AS run
SET status = 'exited', exit_reason = gone.reason, ended_at = gone.at, next_position = NULL,
    next_at = NULL
FROM unnest(%(runs)s::bigint[], %(reasons)s::text[], %(instants)s::timestamptz[])
    AS gone (run_id, reason, at)
WHERE run.id = gone.run_id
"""


@dataclass(frozen=True)
class Start:
    """Who starts, and what made them."""

    enrollment_id: int
    transition_id: int | None = None
    assignment_id: int | None = None
    ghost: bool = False
    # In which the days of delays and pauses are counted.
    zone: str = "UTC"


def new_run(cadence: Cadence, start: Start, *, last: Run | None, now: datetime) -> Run | None:
    """Return a run to save, unless one is active or the cadence's re-entry forbids another.

    Whoever enters during the pause after an earlier run gets one that waits for its end.

    `last` is the enrollment's active or last run of the cadence. Its Due row must be locked: that
    keeps two starters apart.
    """
    begins_at = _begins_at(cadence, last, now, start.zone)
    if begins_at is None:
        return None
    # In their own order: a caller who starts many runs has fetched the steps already.
    first = next(iter(cadence.steps.all()), None)
    if first is None:
        return None
    return Run(
        cadence=cadence,
        enrollment_id=start.enrollment_id,
        transition_id=start.transition_id,
        assignment_id=start.assignment_id,
        ghost=start.ghost,
        started_at=now,
        next_position=first.position,
        next_at=later(begins_at, first.delay, zone=start.zone),
        waits_until=begins_at if begins_at > now else None,
    )


@transaction.atomic
def start_manually(cadence_id: int, enrollment_id: int, *, now: datetime) -> Run | None:
    """Start a run of a manual cadence. None where re-entry forbids it. Raise InterventionError."""
    lock_due([enrollment_id])
    cadence = Cadence.objects.get(pk=cadence_id)
    if cadence.status != CadenceStatus.ACTIVE or cadence.trigger != Trigger.MANUAL:
        raise InterventionError(f"The cadence '{cadence}' is not active, or not started manually.")
    last = last_runs([enrollment_id], [cadence_id]).get((enrollment_id, cadence_id))
    enrollment = Enrollment.objects.select_related("learner", "course").get(pk=enrollment_id)
    start = Start(enrollment_id, zone=zone_of(enrollment))
    run = new_run(cadence, start, last=last, now=now)
    if run is not None:
        run.save()
    return run


def lock_active_runs(enrollment_ids: Collection[int], *, skip_locked: bool = False) -> list[Run]:
    """Lock and return the enrollments' active runs with their cadences."""
    rows = Run.objects.filter(enrollment__in=enrollment_ids, status=RunStatus.ACTIVE)
    locked = rows.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked)
    return list(locked.select_related("cadence").order_by("pk"))


def exit_runs(runs: Sequence[Run], *, reason: str, now: datetime) -> None:
    """End locked runs before their end and drop what is planned for them.

    What is claimed already is on its way and ends as it ends.
    """
    for run in runs:
        mark_exited(run, reason=reason, now=now)
    write_exits(runs, now=now)


def write_exits(runs: Sequence[Run], *, now: datetime) -> None:
    """Write what `mark_exited` has set on locked runs, and drop what is planned for them."""
    if not runs:
        return
    values: dict[str, Any] = {
        "runs": [run.pk for run in runs],
        "reasons": [run.exit_reason for run in runs],
        "instants": [run.ended_at for run in runs],
    }
    with connection.cursor() as cursor:
        cursor.execute(_EXIT, values)
    drop_planned({run.pk: run.exit_reason for run in runs}, now=now)


def mark_exited(run: Run, *, reason: str, now: datetime) -> None:
    """Set on the object what `write_exits` writes."""
    run.status, run.exit_reason = RunStatus.EXITED, reason
    run.ended_at = max(now, run.started_at)
    run.next_position = run.next_at = None


def close_runs(*, now: datetime, enrollment_ids: Collection[int] | None = None) -> set[int]:
    """Finish the runs that are planned to the end and wait for nothing. Return their ids.

    `enrollment_ids` None: everybody's. Runs that another transaction holds are passed over.
    """
    ids = None if enrollment_ids is None else list(enrollment_ids)
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE, {"now": now, "enrollments": ids})
        return {run_id for (run_id,) in cursor.fetchall()}


def _begins_at(cadence: Cadence, last: Run | None, now: datetime, zone: str) -> datetime | None:
    """Return when a run may begin that is started now; None where none may be started."""
    if last is None:
        return now
    if last.ended_at is None or cadence.reentry == Reentry.NEVER or cadence.cooldown is None:
        return None
    # One that ended while it waited sent nothing: it makes no pause of its own.
    pause_ends = last.waits_until or later(last.ended_at, cadence.cooldown, zone=zone)
    if pause_ends <= now:
        return now
    # What is started manually, or by leaving, is not put off: nothing would call it off.
    waits = cadence.trigger == Trigger.ENTER and pause_ends - now <= LONGEST_WAIT
    return pause_ends if waits else None
