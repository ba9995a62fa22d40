"""Where the members of a segment came from and went to, and which other segments they are in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from activity.models import Course

# One evaluation writes the leavings and the entries of an enrollment at one instant.
_CAME_FROM = """
SELECT other.segment_id, count(*)
FROM segmentation_membership AS stay
JOIN activity_enrollment AS enrollment ON enrollment.id = stay.enrollment_id
LEFT JOIN segmentation_membership AS other ON other.enrollment_id = stay.enrollment_id
    AND other.left_at = stay.entered_at AND other.segment_id = ANY(%(others)s)
WHERE stay.segment_id = %(segment)s AND enrollment.course_id = %(course)s
    AND stay.entered_at >= %(since)s AND stay.entered_at <= %(as_of)s
GROUP BY 1
"""
_WENT_TO = """
SELECT other.segment_id, count(*)
FROM segmentation_membership AS stay
JOIN activity_enrollment AS enrollment ON enrollment.id = stay.enrollment_id
LEFT JOIN segmentation_membership AS other ON other.enrollment_id = stay.enrollment_id
    AND other.entered_at = stay.left_at AND other.segment_id = ANY(%(others)s)
WHERE stay.segment_id = %(segment)s AND enrollment.course_id = %(course)s
    AND stay.left_at >= %(since)s AND stay.left_at <= %(as_of)s
GROUP BY 1
"""
_ALSO_IN = """
SELECT other.segment_id, count(*)
FROM segmentation_membership AS stay
JOIN activity_enrollment AS enrollment ON enrollment.id = stay.enrollment_id
JOIN segmentation_membership AS other ON other.enrollment_id = stay.enrollment_id
    AND other.left_at IS NULL AND other.segment_id = ANY(%(others)s)
WHERE stay.segment_id = %(segment)s AND enrollment.course_id = %(course)s
    AND stay.left_at IS NULL
GROUP BY 1
"""


@dataclass(frozen=True)
class Flows:
    """Numbers of stays by other segment. The key None stands for no other segment."""

    came_from: dict[int | None, int]
    went_to: dict[int | None, int]
    also_in: dict[int | None, int]


def flows_of(
    segment_id: int, others: Sequence[int], course: Course, *, since: datetime, as_of: datetime
) -> Flows:
    """Return the entries and leavings from `since` on, and the present overlap. Three queries."""
    values: dict[str, Any] = {
        "segment": segment_id,
        "others": [other for other in others if other != segment_id],
        "course": course.pk,
        "since": since,
        "as_of": as_of,
    }
    return Flows(*(_counts(sql, values) for sql in (_CAME_FROM, _WENT_TO, _ALSO_IN)))


def _counts(sql: str, values: dict[str, Any]) -> dict[int | None, int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return dict(cursor.fetchall())
