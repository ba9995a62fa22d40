"""Rebuild the read models from the event log."""

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from activity.models import Enrollment
from activity.operations.due import lock_due
from activity.operations.past import note_past_changed
from activity.read_models import merge_daily_activity, merge_progress

BATCH_SIZE = 2_000


_LOGGED = "(SELECT * FROM activity_event WHERE enrollment_id = ANY(%(ids)s))"

# In this order: the old rows are deleted, then each read model is computed from the log.
_REBUILD = (
    "DELETE FROM activity_dailyactivity WHERE enrollment_id = ANY(%(ids)s)",
    "DELETE FROM activity_progress WHERE enrollment_id = ANY(%(ids)s)",
    merge_daily_activity(_LOGGED),
    merge_progress(_LOGGED),
    """
    UPDATE activity_enrollment AS enrollment SET last_event_at = logged.last_event_at
    FROM unnest(%(ids)s::bigint[]) AS wanted (id)
    LEFT JOIN LATERAL (
        SELECT max(occurred_at) AS last_event_at FROM activity_event WHERE enrollment_id = wanted.id
    ) AS logged ON true
    WHERE enrollment.id = wanted.id
        AND enrollment.last_event_at IS DISTINCT FROM logged.last_event_at
    """,
)


def rebuild_read_models(*, course_id: int | None = None) -> int:
    """Rebuild both read models and last_event_at from the event log, for one course or all.

    Each transaction handles 2,000 enrollments, and ingest can go on meanwhile. Return the number of
    enrollments.
    """
    enrolled = Enrollment.objects.order_by("pk").values_list("pk", flat=True)
    ids = list(enrolled if course_id is None else enrolled.filter(course_id=course_id))
    for start in range(0, len(ids), BATCH_SIZE):
        with transaction.atomic():
            rebuild_enrollments(ids[start : start + BATCH_SIZE])
    return len(ids)


def rebuild_enrollments(enrollment_ids: Sequence[int]) -> None:
    """Rebuild the read models of these enrollments in the caller's transaction."""
    # An ingest holds these locks until its stored events are merged. Without the lock, it could
    # merge into rows that already count its events.
    lock_due(enrollment_ids)
    values: dict[str, Any] = {"ids": list(enrollment_ids)}
    with connection.cursor() as cursor:
        for statement in _REBUILD:
            cursor.execute(statement, values)
    enrolled = Enrollment.objects.filter(pk__in=enrollment_ids).order_by()
    note_past_changed(enrolled.values_list("course_id", flat=True).distinct())
