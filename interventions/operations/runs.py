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
from interventions.queries.goals import GOAL
from interventions.queries.runs import last_runs, was_for_nothing, zone_of

STOPPED = "stopped"
CLOCK_STOPPED = "The clock of this simulated course stands still, so no message goes out any more."
# A learner must not get a message because of something they did more than a year ago.
LONGEST_WAIT = timedelta(days=366)

# So many runs that wait for their last message are looked at in each beat. If all messages are
# held, a million may wait.
MOST_LOOKED_AT = 10_000
# The multiples of this number, without their whole parts, fall evenly between 0 and 1.
_GOLDEN = 0.6180339887498949
_SECONDS_OF_A_BEAT = 5

# Runs locked by another transaction are skipped, because it is about to change them anyway.
_CLOSE = """
WITH closable AS (
    SELECT run.id FROM interventions_run AS run
    WHERE run.status = 'active' AND run.next_at IS NULL AND {which}
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
_CLOSE_OF_ENROLLMENTS = _CLOSE.format(which="run.enrollment_id = ANY(%(enrollments)s)")
# From an id on that is another one in each beat, and then from the first id.
_CLOSE_IN_TURN = _CLOSE.format(
    which="""run.id = ANY(ARRAY(
        WITH waiting AS NOT MATERIALIZED (
            SELECT id FROM interventions_run WHERE status = 'active' AND next_at IS NULL
        ), begin AS MATERIALIZED (
            SELECT min(id) + ((max(id) - min(id)) * %(share)s)::bigint AS id FROM waiting
        )
        SELECT id FROM (
            (SELECT id FROM waiting WHERE id >= (SELECT id FROM begin) ORDER BY id LIMIT %(most)s)
            UNION ALL
            (SELECT id FROM waiting WHERE id < (SELECT id FROM begin) ORDER BY id LIMIT %(most)s)
        ) AS looked_at
        LIMIT %(most)s
    ))"""
)

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
    """An enrollment that starts a run, and the cause."""

    enrollment_id: int
    transition_id: int | None = None
    assignment_id: int | None = None
    ghost: bool = False
    # The zone in which the days of delays and pauses are counted.
    zone: str = "UTC"


def new_run(cadence: Cadence, start: Start, *, last: Run | None, now: datetime) -> Run | None:
    """Return a run to save, or None if one is active or the cadence's re-entry forbids another.

    A learner who enters during the pause after an earlier run gets a run that waits for the end of
    the pause.

    `last` is the enrollment's active or last run of the cadence. The enrollment's Due row must be
    locked, so that two transactions cannot both start a run.
    """
    begins_at = _begins_at(cadence, last, now, start.zone)
    if begins_at is None:
        return None
    # Not `first()`: a caller that starts many runs has prefetched the steps in order.
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
    """Start and return a run of a manual cadence, or None if re-entry forbids it.

    Raise InterventionError if the cadence is not active or not manual, or if the clock of a
    simulated course has stopped.
    """
    lock_due([enrollment_id])
    cadence = Cadence.objects.get(pk=cadence_id)
    if cadence.status != CadenceStatus.ACTIVE or cadence.trigger != Trigger.MANUAL:
        raise InterventionError(f"The cadence '{cadence}' is not active or not started manually.")
    enrollment = Enrollment.objects.select_related("learner", "course").get(pk=enrollment_id)
    if enrollment.course.clock_stopped_at is not None:
        raise InterventionError(CLOCK_STOPPED)
    run = manual_runs([cadence], enrollment, now=now)[cadence.pk]
    if run is not None:
        run.save()
    return run


def manual_runs(
    cadences: Sequence[Cadence], enrollment: Enrollment, *, now: datetime
) -> dict[int, Run | None]:
    """Return by cadence the run that `start_manually` would save now. None: re-entry forbids it.

    One query if the steps are loaded.
    """
    last = last_runs([enrollment.pk], [cadence.pk for cadence in cadences])
    start = Start(enrollment.pk, zone=zone_of(enrollment))
    return {
        each.pk: new_run(each, start, last=last.get((enrollment.pk, each.pk)), now=now)
        for each in cadences
    }


@transaction.atomic
def stop_run(run_id: int, *, now: datetime) -> bool:
    """Exit one run and drop its waiting messages. Return False if it was not active any more."""
    enrollment_id = Run.objects.values_list("enrollment", flat=True).get(pk=run_id)
    lock_due([enrollment_id])
    runs = [run for run in lock_active_runs([enrollment_id]) if run.pk == run_id]
    exit_runs(runs, reason=STOPPED, now=now)
    return bool(runs)


@transaction.atomic
def end_at_goal(run_ids: Collection[int], *, now: datetime) -> None:
    """Exit those of the runs that are active, because their learner has reached the goal."""
    rows = Run.objects.filter(pk__in=run_ids, status=RunStatus.ACTIVE)
    locked = rows.select_for_update(no_key=True, of=("self",)).order_by("pk")
    exit_runs(list(locked), reason=GOAL, now=now)


def lock_active_runs(enrollment_ids: Collection[int], *, skip_locked: bool = False) -> list[Run]:
    """Lock and return the enrollments' active runs with their cadences."""
    rows = Run.objects.filter(enrollment__in=enrollment_ids, status=RunStatus.ACTIVE)
    locked = rows.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked)
    return list(locked.select_related("cadence").order_by("pk"))


def exit_runs(runs: Sequence[Run], *, reason: str, now: datetime) -> None:
    """Exit locked runs early and drop their planned messages.

    Messages that are already claimed are not affected.
    """
    for run in runs:
        mark_exited(run, reason=reason, now=now)
    write_exits(runs, now=now)


def write_exits(runs: Sequence[Run], *, now: datetime) -> None:
    """Write the values that `mark_exited` set on locked runs, and drop their planned messages."""
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
    """Set the values on the object that `write_exits` writes."""
    run.status, run.exit_reason = RunStatus.EXITED, reason
    run.ended_at = max(now, run.started_at)
    run.next_position = run.next_at = None


def close_runs(*, now: datetime, enrollment_ids: Collection[int] | None = None) -> set[int]:
    """Finish the runs with all steps planned and no waiting message. Return their ids.

    With `enrollment_ids` None this concerns all runs. If more than MOST_LOOKED_AT wait, each beat
    looks at other ones. Runs locked by another transaction are skipped.
    """
    values: dict[str, Any] = {"now": now}
    if enrollment_ids is None:
        share = now.timestamp() // _SECONDS_OF_A_BEAT * _GOLDEN % 1
        values |= {"share": share, "most": MOST_LOOKED_AT}
    else:
        values["enrollments"] = list(enrollment_ids)
    statement = _CLOSE_IN_TURN if enrollment_ids is None else _CLOSE_OF_ENROLLMENTS
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return {run_id for (run_id,) in cursor.fetchall()}


def _begins_at(cadence: Cadence, last: Run | None, now: datetime, zone: str) -> datetime | None:
    """Return when a run that is started now may begin, or None if no run may be started."""
    if last is None or was_for_nothing(last, now=now):
        return now
    if last.ended_at is None or cadence.reentry == Reentry.NEVER or cadence.cooldown is None:
        return None
    # A run that ended while it waited has sent nothing, so it starts no new pause.
    pause_ends = last.waits_until or later(last.ended_at, cadence.cooldown, zone=zone)
    if pause_ends <= now:
        return now
    # Only a run that starts on entering can wait: leaving the segment would exit it. No transition
    # would exit a waiting run with another trigger.
    waits = cadence.trigger == Trigger.ENTER and pause_ends - now <= LONGEST_WAIT
    return pause_ends if waits else None
