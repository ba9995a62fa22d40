"""Hold entries caused only by time until they are counted, and detect surges."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction

from segmentation.models import Surge, SurgeState
from segmentation.operations.errors import SegmentationError

log = logging.getLogger(__name__)

# A surge exceeds both limits. In a course of thirty, eight entries at one midnight are no surge.
LARGEST_SHARE = 0.25
FEWEST = 20
BATCH_SIZE = 1_000
_HELD = (
    "%s of %s enrollments in scope of course %s entered segment %s on %s only because time passed:"
    " nothing starts for them until staff decide on the segment's page"
)

# The courses with entries that are not counted yet, and the last instant of such an entry.
_UNCOUNTED = """
SELECT course_id, max(entered_at) FROM segmentation_waitingentry
WHERE NOT is_counted AND (%(course)s::bigint IS NULL OR course_id = %(course)s)
GROUP BY course_id
ORDER BY course_id
"""

# An enrollment stays due until its evaluation commits. So when none is due any more, all entries of
# that instant can be read.
_IS_SWEPT = """
SELECT NOT EXISTS (
    SELECT FROM activity_due AS due
    JOIN activity_enrollment AS enrollment ON enrollment.id = due.enrollment_id
    WHERE enrollment.course_id = %(course)s AND due.due_at <= %(through)s
)
"""

_OPEN = """
INSERT INTO segmentation_surge (segment_id, course_id, day, state, entered, of)
SELECT DISTINCT segment_id, course_id, day, 'counting', 0, 0
FROM segmentation_waitingentry WHERE course_id = %(course)s AND NOT is_counted
ORDER BY segment_id, day
ON CONFLICT (segment_id, course_id, day) DO NOTHING
"""

_COUNT = """
WITH scope AS (
    SELECT count(*) AS size
    FROM activity_enrollment AS enrollment
    WHERE enrollment.course_id = %(course)s AND enrollment.enrolled_at <= %(through)s
        AND (enrollment.withdrew_at > %(through)s) IS NOT FALSE
        AND (enrollment.completed_at > %(through)s) IS NOT FALSE
), locked AS (
    SELECT id, segment_id, day FROM segmentation_surge
    WHERE course_id = %(course)s
    ORDER BY id FOR NO KEY UPDATE
), counted AS (
    -- SKIP LOCKED: an evaluation that ends a membership deletes its entry. Waiting for it could
    -- deadlock, because it may wait for another entry that is locked here.
    SELECT entry.transition_id, locked.id AS surge_id
    FROM locked JOIN segmentation_waitingentry AS entry
        ON entry.course_id = %(course)s AND entry.segment_id = locked.segment_id
        AND entry.day = locked.day
    WHERE NOT entry.is_counted AND entry.entered_at <= %(through)s
    FOR NO KEY UPDATE OF entry SKIP LOCKED
), noted AS (
    UPDATE segmentation_waitingentry AS entry SET is_counted = true
    FROM counted WHERE entry.transition_id = counted.transition_id
), added AS (
    SELECT surge_id, count(*) AS size FROM counted GROUP BY surge_id
)
UPDATE segmentation_surge AS surge
SET entered = surge.entered + added.size, of = scope.size
FROM added, scope WHERE surge.id = added.surge_id
"""

_HOLD = """
UPDATE segmentation_surge SET state = 'held', held_at = %(now)s
WHERE course_id = %(course)s AND state = 'counting' AND entered > %(fewest)s
    AND entered > %(share)s::float8 * of
RETURNING segment_id, day, entered, of
"""

# The enrollments whose waiting entries are decided. Their Due rows are locked before the entries
# are removed: an evaluation that ends a membership deletes its entry under the same lock.
_DECIDED = """
SELECT entry.enrollment_id
FROM segmentation_waitingentry AS entry
JOIN segmentation_surge AS surge USING (segment_id, course_id, day)
WHERE entry.enrollment_id > %(after)s AND (surge.state IN ('let_in', 'discarded')
    OR surge.state = 'counting' AND entry.is_counted)
    AND (%(course)s::bigint IS NULL OR entry.course_id = %(course)s)
GROUP BY entry.enrollment_id
ORDER BY entry.enrollment_id LIMIT %(limit)s
"""

_LOCK = """
SELECT enrollment_id FROM activity_due WHERE enrollment_id = ANY(%(ids)s)
ORDER BY enrollment_id FOR NO KEY UPDATE SKIP LOCKED
"""

_MOVE_ON = """
WITH gone AS (
    DELETE FROM segmentation_waitingentry AS entry USING segmentation_surge AS surge
    WHERE surge.segment_id = entry.segment_id AND surge.course_id = entry.course_id
        AND surge.day = entry.day AND entry.enrollment_id = ANY(%(ids)s)
        AND (surge.state IN ('let_in', 'discarded')
            OR surge.state = 'counting' AND entry.is_counted)
    RETURNING entry.transition_id, surge.state
)
UPDATE segmentation_transition AS entered
SET starts = true, processed_at = NULL, next_attempt_at = %(now)s
FROM gone WHERE entered.id = gone.transition_id AND gone.state <> 'discarded'
"""


def decide_entries(*, now: datetime, course_id: int | None = None) -> None:
    """Count the entries caused only by time per day. Hold surges, and release other entries.

    The entries of a course are counted when no enrollment of the course is due at their instant any
    more. The function is idempotent: if the process dies, the next call does the rest.
    """
    for course, through in _uncounted(course_id):
        if _is_swept(course, through):
            _count(course, through, now=now)
    _move_on(now=now, course_id=course_id)


def let_in_surge(surge_id: int, *, now: datetime, by: User | None = None) -> None:
    """Let the entries of the surge, and later entries of the same day, start messages and draws.

    The next evaluation does it. Raise SegmentationError if the surge was decided before.
    """
    _decide(surge_id, SurgeState.LET_IN, now=now, by=by)


def discard_surge(surge_id: int, *, now: datetime, by: User | None = None) -> None:
    """Keep the members of the surge, but start nothing for them or for later ones of the same day.

    Raise SegmentationError if the surge was decided before.
    """
    _decide(surge_id, SurgeState.DISCARDED, now=now, by=by)


def _decide(surge_id: int, state: SurgeState, *, now: datetime, by: User | None) -> None:
    # One conditional update: of two simultaneous decisions, the second raises the error.
    held = Surge.objects.filter(pk=surge_id, state=SurgeState.HELD)
    if not held.update(state=state, decided_at=now, decided_by=by):
        raise SegmentationError("Somebody has decided this already, or it is no longer held.")


def _uncounted(course_id: int | None) -> list[tuple[int, datetime]]:
    with connection.cursor() as cursor:
        cursor.execute(_UNCOUNTED, {"course": course_id})
        return list(cursor.fetchall())


def _is_swept(course_id: int, through: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_IS_SWEPT, {"course": course_id, "through": through})
        return bool(cursor.fetchone()[0])


@transaction.atomic
def _count(course_id: int, through: datetime, *, now: datetime) -> None:
    """Count the entries up to the instant. Call it only when `_is_swept` is true."""
    values: dict[str, Any] = {
        "course": course_id,
        "through": through,
        "now": now,
        "fewest": FEWEST,
        "share": LARGEST_SHARE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, values)
        cursor.execute(_COUNT, values)
        cursor.execute(_HOLD, values)
        for segment_id, day, entered, of in cursor.fetchall():
            log.warning(_HELD, entered, of, course_id, segment_id, day)


def _move_on(*, now: datetime, course_id: int | None) -> None:
    after, ids = 0, [0]
    while ids:
        values: dict[str, Any] = {"after": after, "course": course_id, "limit": BATCH_SIZE}
        with connection.cursor() as cursor:
            cursor.execute(_DECIDED, values)
            ids = [enrollment_id for (enrollment_id,) in cursor.fetchall()]
        if ids:
            after = ids[-1]
            _move_on_chunk(ids, now=now)


@transaction.atomic
def _move_on_chunk(enrollment_ids: Sequence[int], *, now: datetime) -> None:
    with connection.cursor() as cursor:
        # Enrollments locked by an evaluation or by react are handled at the next beat.
        cursor.execute(_LOCK, {"ids": list(enrollment_ids)})
        locked = [enrollment_id for (enrollment_id,) in cursor.fetchall()]
        cursor.execute(_MOVE_ON, {"ids": locked, "now": now})
