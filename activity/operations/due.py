"""The evaluation queue: the only functions that pull, claim, push and fail Due rows."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from activity.models import Due, DueCause, Enrollment
from common.back_off import OF_A_FAILED_ROW
from common.stored_text import storable_text
from common.waking import wake_after_commit

BATCH_SIZE = 5_000
LEAST_LATE = timedelta(hours=1)

# The rows are locked in enrollment order, so that two pulls cannot deadlock. Then all of them are
# set, regardless of due_at. A condition on due_at would read the version before the lock, and
# an event that arrives while its enrollment is being evaluated would be lost.
PULL = """
WITH locked AS (
    SELECT enrollment_id FROM activity_due
    WHERE enrollment_id = ANY(%(ids)s)
    ORDER BY enrollment_id
    FOR NO KEY UPDATE
)
UPDATE activity_due AS due
SET due_at = LEAST(due.due_at, %(at)s), cause = GREATEST(due.cause, %(cause)s)
FROM locked
WHERE due.enrollment_id = locked.enrollment_id
"""

CLAIM = """
SELECT enrollment_id FROM activity_due
WHERE enrollment_id = ANY(%(ids)s) AND due_at <= %(now)s
ORDER BY enrollment_id
FOR NO KEY UPDATE SKIP LOCKED
"""

PUSH = """
UPDATE activity_due AS due
SET due_at = pushed.due_at, attempts = 0, error = '', late_since = NULL,
    -- An act that occurred after the instant of the evaluation still has to be evaluated, with the
    -- cause event. A mail of our own is not an act: it pulls the row with the cause time.
    cause = CASE WHEN due.cause <> %(time)s AND enrollment.last_event_at > %(evaluated_at)s
        THEN %(event)s ELSE %(time)s END,
    evaluated_at = GREATEST(due.evaluated_at, %(evaluated_at)s), rules_revision = %(revision)s
FROM unnest(%(ids)s::bigint[], %(due_ats)s::timestamptz[]) AS pushed (enrollment_id, due_at)
JOIN activity_enrollment AS enrollment ON enrollment.id = pushed.enrollment_id
WHERE due.enrollment_id = pushed.enrollment_id
"""

# `pull_due` has locked the rows before, so no order of locking is needed here.
NOTE_LATE = """
UPDATE activity_due AS due SET late_since = LEAST(due.late_since, %(now)s)
FROM unnest(%(ids)s::bigint[], %(oldest)s::timestamptz[]) AS first (enrollment_id, occurred_at)
JOIN activity_enrollment AS enrollment ON enrollment.id = first.enrollment_id
JOIN activity_course AS course ON course.id = enrollment.course_id
WHERE due.enrollment_id = first.enrollment_id
    AND first.occurred_at < %(now)s - course.late_after_hours * interval '1 hour'
"""

FAIL = f"""
UPDATE activity_due
SET attempts = attempts + 1, error = %(error)s,
    due_at = %(now)s + {OF_A_FAILED_ROW.sql("attempts")}
WHERE enrollment_id = ANY(%(ids)s)
"""  # noqa: S608


def pull_due(
    enrollment_ids: Iterable[int], *, at: datetime, cause: DueCause = DueCause.EVENT
) -> None:
    """Make the enrollments due at the instant, unless they are due earlier already.

    The function locks their Due rows until the transaction ends. Call it before any other write to
    these enrollments.
    """
    ids = sorted(set(enrollment_ids))
    with connection.cursor() as cursor:
        cursor.execute(PULL, {"ids": ids, "at": at, "cause": int(cause)})
    wake_after_commit("evaluate")


def note_late(oldest: Mapping[int, datetime], *, now: datetime) -> None:
    """Note the enrollments that received a late event. `oldest` is their earliest new event.

    Their next evaluation then finds out which transitions come from late events, and which come
    from time or from recent events. Call it after `pull_due`, which locks the rows.
    """
    # In no course is an event late within one hour, so most batches end here.
    late = {pk: at for pk, at in oldest.items() if at < now - LEAST_LATE}
    if not late:
        return
    values: dict[str, Any] = {"ids": list(late), "oldest": list(late.values()), "now": now}
    with connection.cursor() as cursor:
        cursor.execute(NOTE_LATE, values)


def pull_course(course_id: int, *, at: datetime, cause: DueCause = DueCause.EDIT) -> None:
    """Pull every enrollment of the course, 5,000 per transaction. Call it outside a transaction."""
    pull_chunks(
        Enrollment.objects.filter(course_id=course_id).values_list("id", flat=True),
        at=at,
        cause=cause,
    )


def pull_chunks(enrollment_ids: Iterable[int], *, at: datetime, cause: DueCause) -> None:
    """Pull the enrollments, 5,000 per transaction, so that ingest waits for no whole course."""
    ids = sorted(enrollment_ids)
    for start in range(0, len(ids), BATCH_SIZE):
        with transaction.atomic():
            pull_due(ids[start : start + BATCH_SIZE], at=at, cause=cause)


def claim_due(enrollment_ids: Sequence[int], *, now: datetime) -> list[int]:
    """Lock and return those of the enrollments that are due.

    Rows locked by another worker are skipped. Read the signals in later statements, because the
    snapshot of this statement is older than its locks. Raises TransactionManagementError outside a
    transaction.
    """
    # Without a transaction the locks would be released before the caller reads the result.
    _require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"ids": list(enrollment_ids), "now": now})
        return [enrollment_id for (enrollment_id,) in cursor.fetchall()]


def push_due(
    enrollment_ids: Sequence[int],
    due_ats: Sequence[datetime | None],
    *,
    evaluated_at: datetime,
    rules_revision: int,
) -> None:
    """Record the evaluation of claimed enrollments, and when each could change (None: never)."""
    values: dict[str, Any] = {
        "ids": list(enrollment_ids),
        "due_ats": list(due_ats),
        "evaluated_at": evaluated_at,
        "revision": rules_revision,
        "time": int(DueCause.TIME),
        "event": int(DueCause.EVENT),
    }
    with connection.cursor() as cursor:
        cursor.execute(PUSH, values)


def fail_due(enrollment_ids: Iterable[int], *, now: datetime, error: str) -> None:
    """Delay enrollments whose evaluation failed: 30 s, then twice as long, up to 1 hour."""
    values: dict[str, Any] = {
        "ids": list(enrollment_ids),
        "now": now,
        "error": storable_text(error),
    }
    with connection.cursor() as cursor:
        cursor.execute(FAIL, values)


def lock_due(enrollment_ids: Iterable[int]) -> None:
    """Lock the Due rows in enrollment order until the transaction ends."""
    rows = Due.objects.filter(pk__in=list(enrollment_ids)).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("claim_due needs an open transaction.")
