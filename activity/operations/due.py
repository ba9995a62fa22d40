"""The queue of what to evaluate: the only way to pull, claim, push and fail a Due row."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from activity.models import Due, DueCause, Enrollment
from common.back_off import OF_A_FAILED_ROW
from common.stored_text import storable_text

CHUNK = 5_000
LEAST_LATE = timedelta(hours=1)

# The rows are locked in enrollment order, so that two pulls never wait for each other in a ring.
# Then all of them are set, whatever their due_at: a condition on it would read the version before
# the lock, and an event that arrives while its enrollment is being evaluated would be lost.
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
    -- What occurred after the instant evaluated at is still to be answered, as the event it is.
    -- Unless it was no act: a mail of our own pulls the row without giving it another cause.
    cause = CASE WHEN due.cause <> %(time)s AND enrollment.last_event_at > %(evaluated_at)s
        THEN %(event)s ELSE %(time)s END,
    evaluated_at = GREATEST(due.evaluated_at, %(evaluated_at)s), rules_revision = %(revision)s
FROM unnest(%(ids)s::bigint[], %(due_ats)s::timestamptz[]) AS pushed (enrollment_id, due_at)
JOIN activity_enrollment AS enrollment ON enrollment.id = pushed.enrollment_id
WHERE due.enrollment_id = pushed.enrollment_id
"""

# Which rows are the batch's own is known, and all of them are locked: the pull came first.
NOTE_LATE = """
UPDATE activity_due AS due SET late_since = LEAST(due.late_since, %(now)s)
FROM unnest(%(ids)s::bigint[], %(oldest)s::timestamptz[]) AS told (enrollment_id, occurred_at)
JOIN activity_enrollment AS enrollment ON enrollment.id = told.enrollment_id
JOIN activity_course AS course ON course.id = enrollment.course_id
WHERE due.enrollment_id = told.enrollment_id
    AND told.occurred_at < %(now)s - course.late_after_hours * interval '1 hour'
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
    """Have the enrollments evaluated at the instant, or earlier if they already were to be.

    Locks their Due rows until the transaction ends: call it before any other write of theirs.
    """
    ids = sorted(set(enrollment_ids))
    with connection.cursor() as cursor:
        cursor.execute(PULL, {"ids": ids, "at": at, "cause": int(cause)})


def note_late(oldest: Mapping[int, datetime], *, now: datetime) -> None:
    """Note for whom an event came in now that is late: `oldest` is the first by enrollment.

    Their next evaluation tells what late events move from what time and fresh ones do. Call it
    after `pull_due`, which locks the rows.
    """
    # No course calls an event late within the hour: most batches end here.
    late = {pk: at for pk, at in oldest.items() if at < now - LEAST_LATE}
    if not late:
        return
    values: dict[str, Any] = {"ids": list(late), "oldest": list(late.values()), "now": now}
    with connection.cursor() as cursor:
        cursor.execute(NOTE_LATE, values)


def pull_course(course_id: int, *, at: datetime, cause: DueCause = DueCause.EDIT) -> None:
    """Pull every enrollment of the course, 5,000 a transaction. Call it outside a transaction."""
    pull_chunks(
        Enrollment.objects.filter(course_id=course_id).values_list("id", flat=True),
        at=at,
        cause=cause,
    )


def pull_chunks(enrollment_ids: Iterable[int], *, at: datetime, cause: DueCause) -> None:
    """Pull the enrollments 5,000 a transaction, so that ingest never waits for a whole course."""
    ids = sorted(enrollment_ids)
    for start in range(0, len(ids), CHUNK):
        with transaction.atomic():
            pull_due(ids[start : start + CHUNK], at=at, cause=cause)


def claim_due(enrollment_ids: Sequence[int], *, now: datetime) -> list[int]:
    """Lock and return those of the enrollments that are due.

    Skips what another worker holds. Read their signals in later statements: this one's snapshot is
    older than its locks. Raises TransactionManagementError outside a transaction.
    """
    # Without a transaction the locks would be gone before the caller reads the result.
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
    """Note an evaluation of claimed enrollments and when each could next change (None: never)."""
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
    """Put off enrollments whose evaluation failed: 30 s, then twice as long, up to 1 hour."""
    values: dict[str, Any] = {
        "ids": list(enrollment_ids),
        "now": now,
        "error": storable_text(error),
    }
    with connection.cursor() as cursor:
        cursor.execute(FAIL, values)


def lock_due(enrollment_ids: Iterable[int]) -> None:
    """Lock the Due rows in enrollment order until the transaction ends, and change nothing."""
    rows = Due.objects.filter(pk__in=list(enrollment_ids)).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("claim_due needs an open transaction.")
