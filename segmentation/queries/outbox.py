"""Which transitions wait to be handled. Writes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Min

from segmentation.models import Transition

# The oldest are found by the index alone. A new transition of an enrollment that was put off has it
# tried again at once, all of its transitions in order; to leave such enrollments out here would let
# a thousand of them fill the front of the line for nothing.
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
    """Enrollments with transitions to handle, and the place in the line where the next begin."""

    enrollment_ids: list[int]
    after: Place | None


def enrollments_to_react(*, now: datetime, limit: int, after: Place | None = None) -> Waiting:
    """Return the next of at most `limit` transitions' enrollments, the longest waiting first.

    `after` None: from the head of the line. The result's `after` is None at its end.
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
    # Whoever is passed over, because somebody holds it, does not come back at the head.
    last = rows[-1] if len(rows) == limit else None
    return Waiting(list(dict.fromkeys(row[1] for row in rows)), last)


def open_transitions(enrollment_ids: Iterable[int]) -> list[Transition]:
    """Return the enrollments' unprocessed transitions, each one's in the order to handle them."""
    waiting = Transition.objects.filter(
        enrollment__in=list(enrollment_ids), processed_at__isnull=True
    )
    return list(waiting.order_by("id"))


def oldest_waiting(*, now: datetime) -> datetime | None:
    """Return since when the longest waiting transition could have been handled. One query.

    One that failed waits from the instant at which it is to be tried again.
    """
    waiting = Transition.objects.filter(processed_at__isnull=True, next_attempt_at__lte=now)
    oldest: datetime | None = waiting.aggregate(oldest=Min("next_attempt_at"))["oldest"]
    return oldest
