"""Move old transitions into the archive."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from common.archive import BATCH_SIZE, Found, Move, month_of, move_old

ARCHIVED_TRANSITIONS = "segmentation_archivedtransition"

# An entry that waits until its day is counted is still to be decided on. In a course whose clock
# stands still nothing grows older.
_IS_READY = """
    transition.processed_at IS NOT NULL AND transition.occurred_at <= %(before)s
    AND NOT EXISTS (
        SELECT FROM segmentation_waitingentry AS waiting
        WHERE waiting.transition_id = transition.id
    )
    AND NOT EXISTS (
        SELECT FROM activity_enrollment AS enrollment
        JOIN activity_course AS course ON course.id = enrollment.course_id
        WHERE enrollment.id = transition.enrollment_id AND course.clock_stopped_at IS NOT NULL
    )
"""
_LOOK = f"""
WITH near AS MATERIALIZED (
    SELECT id, occurred_at FROM segmentation_transition
    WHERE id > %(after)s ORDER BY id LIMIT %(size)s
), ready AS MATERIALIZED (
    SELECT transition.id, date_trunc('month', transition.occurred_at, 'UTC') AS month
    FROM near JOIN segmentation_transition AS transition ON transition.id = near.id
    WHERE {_IS_READY}
)
SELECT (SELECT max(id) FROM near),
    (SELECT count(*) FROM near WHERE occurred_at <= %(before)s),
    ARRAY(SELECT id FROM ready ORDER BY id), ARRAY(SELECT DISTINCT month FROM ready)
"""  # noqa: S608
_MOVE = f"""
WITH locked AS MATERIALIZED (
    SELECT transition.id FROM segmentation_transition AS transition
    WHERE transition.id = ANY(%(ids)s) AND {_IS_READY}
    ORDER BY transition.id
    FOR NO KEY UPDATE OF transition SKIP LOCKED
), gone AS (
    DELETE FROM segmentation_transition AS transition USING locked
    WHERE transition.id = locked.id RETURNING transition.*
), kept AS (
    INSERT INTO segmentation_archivedtransition (id, enrollment_id, segment_id, kind, cause, starts,
        version, occurred_at, processed_at)
    SELECT id, enrollment_id, segment_id, kind, cause, starts, version, occurred_at, processed_at
    FROM gone ORDER BY id
)
SELECT count(*) FROM gone
"""  # noqa: S608


def archive_transitions(
    *,
    before: datetime,
    is_over: Callable[[], bool],
    on_progress: Callable[[int], object] | None = None,
) -> int:
    """Move what was processed and happened before the instant. Return the number of rows.

    Several workers may do so at once, and a killed one leaves nothing half done.
    """
    move = Move(
        (ARCHIVED_TRANSITIONS,),
        lambda after: look_for_transitions(after, before=before),
        _mover(before),
    )
    return move_old(move, is_over=is_over, on_progress=on_progress)


def look_for_transitions(after: int, *, before: datetime) -> Found:
    """Return which of the next transitions behind the id can move. One query."""
    values: dict[str, Any] = {"after": after, "before": before, "size": BATCH_SIZE}
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, values)
        last_id, old, ids, months = cursor.fetchone()
    return Found(last_id, old, ids, frozenset(map(month_of, months)))


def _mover(before: datetime) -> Callable[[Sequence[int]], int]:
    def move(ids: Sequence[int]) -> int:
        with connection.cursor() as cursor:
            cursor.execute(_MOVE, {"ids": list(ids), "before": before})
            return int(cursor.fetchone()[0])

    return move
