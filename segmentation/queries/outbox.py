"""The transitions that wait for react. Read only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Min

from segmentation.models import Transition

# The index alone finds the oldest transitions. If a delayed enrollment gets a new transition, all
# its transitions are tried again at once, in order. If such enrollments were skipped here, a
# thousand of them could block the head of the queue.
_TO_REACT = """
SELECT next_attempt_at, enrollment_id FROM segmentation_transition
WHERE processed_at IS NULL AND next_attempt_at <= %(now)s
    AND (%(after_at)s::timestamptz IS NULL
        OR (next_attempt_at, enrollment_id) > (%(after_at)s, %(after_id)s))
ORDER BY next_attempt_at, enrollment_id
LIMIT %(limit)s
"""

Place = tuple[datetime, int]


@dataclass(frozen=True)
class Waiting:
    """Enrollments with open transitions, and the place in the queue where the next ones begin."""

    enrollment_ids: list[int]
    after: Place | None


def enrollments_to_react(*, now: datetime, limit: int, after: Place | None = None) -> Waiting:
    """Return the enrollments of the next `limit` open transitions, the longest waiting first.

    `after` None starts at the head of the queue. The result's `after` is None at its end.
    """
    after_at, after_id = after or (None, 0)
    values: dict[str, Any] = {
        "now": now,
        "limit": limit,
        "after_at": after_at,
        "after_id": after_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TO_REACT, values)
        rows: list[Place] = cursor.fetchall()
    # The next call continues after the last row, so skipped locked enrollments do not come again.
    last = rows[-1] if len(rows) == limit else None
    return Waiting(list(dict.fromkeys(row[1] for row in rows)), last)


def open_transitions(enrollment_ids: Iterable[int]) -> list[Transition]:
    """Return the unprocessed transitions of the enrollments, each enrollment's in id order."""
    waiting = Transition.objects.filter(
        enrollment__in=list(enrollment_ids), processed_at__isnull=True
    )
    return list(waiting.order_by("id"))


def oldest_waiting(*, now: datetime) -> datetime | None:
    """Return the instant since which the longest waiting transition could be handled. One query.

    A failed transition waits from the instant of its next attempt.
    """
    waiting = Transition.objects.filter(processed_at__isnull=True, next_attempt_at__lte=now)
    oldest: datetime | None = waiting.aggregate(oldest=Min("next_attempt_at"))["oldest"]
    return oldest
