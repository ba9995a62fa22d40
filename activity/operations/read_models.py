"""Keep the read models: merge new events into them, or make them again from the log."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, transaction

from activity.models import Enrollment
from activity.operations.due import lock_due
from activity.operations.past import note_past_changed
from activity.queries import (
    COUNTER_LIMIT,
    DAILY_COLUMNS,
    DAILY_COUNTERS,
    DAILY_KEY,
    PROGRESS_COLUMNS,
    PROGRESS_KEY,
    daily_activity_select,
    progress_select,
)

CHUNK = 2_000


def _added(name: str) -> str:
    return f"{name} = LEAST(kept.{name}::bigint + excluded.{name}, {COUNTER_LIMIT})"


def _earliest(name: str) -> str:
    return f"{name} = LEAST(kept.{name}, excluded.{name})"


def _latest(name: str) -> str:
    return f"{name} = GREATEST(kept.{name}, excluded.{name})"


def _merge(table: str, columns: Sequence[str], key: Sequence[str], changes: Iterable[str]) -> str:
    # Sorted by the key: two batches that meet in the same rows lock them in the same order.
    return (
        f"INSERT INTO {table} AS kept ({', '.join(columns)}) {{select}} ORDER BY {', '.join(key)}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)}"
    )


_MERGE_DAILY = _merge(
    "activity_dailyactivity",
    DAILY_COLUMNS,
    DAILY_KEY,
    (
        _latest("last_act_at"),
        _latest("last_attempt_at"),
        *map(_added, DAILY_COUNTERS),
        "score_sum = kept.score_sum + excluded.score_sum",
    ),
)

_LAST_SCORE = """last_score = CASE
    WHEN kept.last_scored_at IS NULL OR excluded.last_scored_at > kept.last_scored_at
        THEN excluded.last_score
    WHEN excluded.last_scored_at = kept.last_scored_at
        THEN GREATEST(kept.last_score, excluded.last_score)
    ELSE kept.last_score END"""

# LEAST and GREATEST pass over nulls, so a side that knows nothing changes nothing. The two columns
# of the last score move together, ordered by instant and then by score.
_MERGE_PROGRESS = _merge(
    "activity_progress",
    PROGRESS_COLUMNS,
    PROGRESS_KEY,
    (
        _earliest("first_touched_at"),
        _latest("last_touched_at"),
        _added("attempts"),
        _latest("last_attempt_at"),
        _latest("best_score"),
        _LAST_SCORE,
        _latest("last_scored_at"),
        _earliest("first_passed_at"),
        _earliest("first_completed_at"),
    ),
)


def merge_daily_activity(events: str) -> str:
    """Return the statement that merges a relation of new events into DailyActivity."""
    return _MERGE_DAILY.format(select=daily_activity_select(events))


def merge_progress(events: str) -> str:
    """Return the statement that merges a relation of new events into Progress."""
    return _MERGE_PROGRESS.format(select=progress_select(events))


_LOGGED = "(SELECT * FROM activity_event WHERE enrollment_id = ANY(%(ids)s))"

# In this order: what is there goes, then each read model is made from the log.
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
    """Make both read models and last_event_at again from the event log, for one course or all.

    Works through 2,000 enrollments a transaction while ingest goes on beside it. Returns how many
    enrollments there were.
    """
    enrolled = Enrollment.objects.order_by("pk").values_list("pk", flat=True)
    ids = list(enrolled if course_id is None else enrolled.filter(course_id=course_id))
    for start in range(0, len(ids), CHUNK):
        with transaction.atomic():
            rebuild_enrollments(ids[start : start + CHUNK])
    return len(ids)


def rebuild_enrollments(enrollment_ids: Sequence[int]) -> None:
    """Make the read models of these enrollments again, in the caller's transaction."""
    # An ingest that stored events but has not merged them yet holds these rows: without the lock,
    # it would merge into rows that already count its events.
    lock_due(enrollment_ids)
    values: dict[str, Any] = {"ids": list(enrollment_ids)}
    with connection.cursor() as cursor:
        for statement in _REBUILD:
            cursor.execute(statement, values)
    enrolled = Enrollment.objects.filter(pk__in=enrollment_ids).order_by()
    note_past_changed(enrolled.values_list("course_id", flat=True).distinct())
