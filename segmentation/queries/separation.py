"""How well the segments of a playbook differ in a course: overlap, and entries that do not last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import Course

_PAIRS = """
SELECT one.segment_id, other.segment_id, count(*)
FROM segmentation_membership AS one
JOIN activity_enrollment AS enrollment ON enrollment.id = one.enrollment_id
JOIN segmentation_membership AS other ON other.enrollment_id = one.enrollment_id
    AND other.segment_id >= one.segment_id AND other.left_at IS NULL
WHERE one.segment_id = ANY(%(segments)s) AND other.segment_id = ANY(%(segments)s)
    AND one.left_at IS NULL AND enrollment.course_id = %(course)s
GROUP BY 1, 2
"""
_SHORT_STAYS = """
SELECT stay.segment_id, count(*),
    count(*) FILTER (WHERE stay.left_at <= stay.entered_at + %(short)s * interval '1 second')
FROM segmentation_membership AS stay
JOIN activity_enrollment AS enrollment ON enrollment.id = stay.enrollment_id
WHERE stay.segment_id = ANY(%(segments)s) AND enrollment.course_id = %(course)s
    AND stay.entered_at >= %(since)s AND stay.entered_at <= %(as_of)s
GROUP BY 1
"""
SHORT_SECONDS = 2 * 24 * 60 * 60


@dataclass(frozen=True)
class Separation:
    """Present members by pair of segments, and the entries since an instant with short stays.

    `together[a, a]` is the number of members of `a`. A short stay lasts at most two days.
    """

    together: dict[tuple[int, int], int]
    entries: dict[int, int]
    short: dict[int, int]

    def size(self, segment_id: int) -> int:
        """Return the present number of members."""
        return self.together.get((segment_id, segment_id), 0)

    def jaccard(self, one: int, other: int) -> float:
        """Return the shared members as a share (0..1) of the members of either segment.

        Jaccard (1912), The distribution of the flora in the alpine zone, New Phytologist 11.
        """
        both = self.together.get((min(one, other), max(one, other)), 0)
        either = self.size(one) + self.size(other) - both
        return both / either if either else 0.0

    def flap_rate(self, segment_id: int) -> float:
        """Return the share (0..1) of the entries that ended within two days."""
        entries = self.entries.get(segment_id, 0)
        return self.short.get(segment_id, 0) / entries if entries else 0.0


def separation_of(
    segment_ids: Sequence[int], course: Course, *, since: datetime, as_of: datetime
) -> Separation:
    """Return how the segments differ in the course. Two queries."""
    values: dict[str, Any] = {
        "segments": list(segment_ids),
        "course": course.pk,
        "since": since,
        "as_of": as_of,
        "short": SHORT_SECONDS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PAIRS, values)
        together = {(one, other): number for one, other, number in cursor.fetchall()}
        cursor.execute(_SHORT_STAYS, values)
        stays = cursor.fetchall()
    return Separation(
        together,
        entries={segment: number for segment, number, _ in stays},
        short={segment: number for segment, _, number in stays},
    )
