"""The sizes of segments in a course over the last days, from the history of memberships."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from activity.models import Course
from common.clock import local_date, local_midnight
from segmentation.charts import DaySizes

# Bucket 0 is before the first day. A stay that has not ended has no bucket of its end.
_STAYS = """
SELECT stay.segment_id,
    width_bucket(stay.entered_at, %(midnights)s::timestamptz[]) AS entered,
    width_bucket(stay.left_at, %(midnights)s::timestamptz[]) AS left_on,
    count(*)
FROM segmentation_membership AS stay
JOIN activity_enrollment AS enrollment ON enrollment.id = stay.enrollment_id
WHERE stay.segment_id = ANY(%(segments)s) AND enrollment.course_id = %(course)s
    AND (stay.left_at IS NULL OR stay.left_at >= %(first)s) AND stay.entered_at <= %(as_of)s
GROUP BY 1, 2, 3
"""
_IN_ANY = """
SELECT count(DISTINCT stay.enrollment_id)
FROM segmentation_membership AS stay
JOIN activity_enrollment AS enrollment ON enrollment.id = stay.enrollment_id
WHERE stay.segment_id = ANY(%(segments)s) AND enrollment.course_id = %(course)s
    AND stay.left_at IS NULL
"""


@dataclass(frozen=True)
class _Stays:
    entered: int
    left_on: int | None
    number: int


def sizes_in_course(
    segment_ids: Iterable[int], course: Course, *, days: int, as_of: datetime
) -> dict[int, tuple[DaySizes, ...]]:
    """Return by segment its sizes on the last `days` local days of the course. One query.

    The last day ends at `as_of`.
    """
    segments = list(segment_ids)
    last = local_date(as_of, course.time_zone)
    dates = tuple(last - timedelta(days=back) for back in reversed(range(days)))
    midnights = [local_midnight(day, course.time_zone) for day in dates]
    values: dict[str, Any] = {
        "segments": segments,
        "course": course.pk,
        "midnights": midnights,
        "first": midnights[0],
        "as_of": as_of,
    }
    stays: dict[int, list[_Stays]] = {segment: [] for segment in segments}
    with connection.cursor() as cursor:
        cursor.execute(_STAYS, values)
        for segment, *stay in cursor.fetchall():
            stays[segment].append(_Stays(*stay))
    return {segment: tuple(_sizes(found, dates)) for segment, found in stays.items()}


def _sizes(stays: Sequence[_Stays], dates: Sequence[date]) -> Iterator[DaySizes]:
    size = sum(stay.number for stay in stays if stay.entered == 0)
    for place, day in enumerate(dates, 1):
        entered = sum(stay.number for stay in stays if stay.entered == place)
        left = sum(stay.number for stay in stays if stay.left_on == place)
        size += entered - left
        yield DaySizes(day, size, entered, left)


def number_in_any(segment_ids: Iterable[int], course: Course) -> int:
    """Return how many enrollments of the course are in at least one of the segments. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_IN_ANY, {"segments": list(segment_ids), "course": course.pk})
        (number,) = cursor.fetchone()
    return int(number)
