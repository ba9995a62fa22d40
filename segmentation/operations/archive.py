"""Move old transitions into the archive."""

from collections.abc import Callable
from datetime import datetime

from common.archive import Found, Move, Source, look_with, move_old, move_with

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
_SOURCE = Source(
    table="segmentation_transition",
    alias="transition",
    written="occurred_at",
    month_of="occurred_at",
    is_ready=_IS_READY,
)
_LOOK = _SOURCE.look
_MOVE = f"""
{_SOURCE.take}, kept AS (
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
        lambda ids: move_with(_MOVE, {"before": before}, ids),
    )
    return move_old(move, is_over=is_over, on_progress=on_progress)


def look_for_transitions(after: int, *, before: datetime) -> Found:
    """Return which of the next transitions behind the id can move. One query."""
    return look_with(_LOOK, {"before": before}, after=after)
