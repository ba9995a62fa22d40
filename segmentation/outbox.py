"""Which transitions wait to be handled. Writes nothing."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from segmentation.models import Transition

# The oldest are found by the index alone. A new transition of an enrollment that was put off has it
# tried again at once, all of its transitions in order; to leave such enrollments out here would let
# a thousand of them fill the front of the line for nothing.
_TO_REACT = """
WITH waiting AS (
    SELECT enrollment_id, next_attempt_at FROM segmentation_transition
    WHERE processed_at IS NULL AND next_attempt_at <= %(now)s
    ORDER BY next_attempt_at, enrollment_id
    LIMIT %(limit)s
)
SELECT enrollment_id FROM waiting
GROUP BY enrollment_id
ORDER BY min(next_attempt_at), enrollment_id
"""


def enrollments_to_react(*, now: datetime, limit: int) -> list[int]:
    """Return at most `limit` enrollments with transitions to handle, the longest waiting first."""
    with connection.cursor() as cursor:
        cursor.execute(_TO_REACT, {"now": now, "limit": limit})
        return [enrollment_id for (enrollment_id,) in cursor.fetchall()]


def open_transitions(enrollment_ids: Iterable[int]) -> list[Transition]:
    """Return the enrollments' unprocessed transitions, each one's in the order to handle them."""
    waiting = Transition.objects.filter(
        enrollment__in=list(enrollment_ids), processed_at__isnull=True
    )
    return list(waiting.order_by("id"))
