"""The sizes of segments in a course over the last days, from the history of memberships."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from activity.models import Course, Enrollment
from common.clock import local_date, local_midnight
from segmentation.charts import DaySizes
from segmentation.models import Membership

# The present members, whom an index counts, and what began or ended on the days. Sizes of past days
# follow from both. A day is looked up only where it is needed: for the many members who entered
# earlier and stay, that would take most of the time. One statement, so that both are of one moment.
_STAYS = """
SELECT stay.segment_id, NULL::int AS entered, NULL::int AS left_on, count(*)
FROM segmentation_membership AS stay
JOIN activity_enrollment AS enrollment ON enrollment.id = stay.enrollment_id
WHERE stay.segment_id = ANY(%(segments)s) AND enrollment.course_id = %(course)s
    AND stay.left_at IS NULL
GROUP BY 1
UNION ALL
SELECT stay.segment_id,
    CASE WHEN stay.entered_at >= %(first)s
        THEN width_bucket(stay.entered_at, %(midnights)s::timestamptz[]) END,
    CASE WHEN stay.left_at >= %(first)s
        THEN width_bucket(stay.left_at, %(midnights)s::timestamptz[]) END,
    count(*)
FROM segmentation_membership AS stay
JOIN activity_enrollment AS enrollment ON enrollment.id = stay.enrollment_id
WHERE stay.segment_id = ANY(%(segments)s) AND enrollment.course_id = %(course)s
    AND (stay.entered_at >= %(first)s OR stay.left_at >= %(first)s)
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True)
class _Stays:
    """A number of stays by the days, from 1 on, on which they began and ended.

    None stands for none of the days. The present members have neither day, and those of them who
    entered on one of the days are counted there once more.
    """

    entered: int | None
    left_on: int | None
    number: int

    @property
    def is_present(self) -> bool:
        return self.entered is None and self.left_on is None


def sizes_in_course(
    segment_ids: Iterable[int], course: Course, *, days: int, as_of: datetime
) -> dict[int, tuple[DaySizes, ...]]:
    """Return by segment its sizes on the last `days` local days of the course. One query.

    The last day is that of `as_of`, which is the present of the course.
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
    }
    stays: dict[int, list[_Stays]] = {segment: [] for segment in segments}
    with connection.cursor() as cursor:
        cursor.execute(_STAYS, values)
        for segment, *stay in cursor.fetchall():
            stays[segment].append(_Stays(*stay))
    return {segment: tuple(_sizes(found, dates)) for segment, found in stays.items()}


def _sizes(stays: Sequence[_Stays], dates: Sequence[date]) -> Iterator[DaySizes]:
    present = sum(stay.number for stay in stays if stay.is_present)
    came = sum(stay.number for stay in stays if stay.entered is not None)
    gone = sum(stay.number for stay in stays if stay.left_on is not None)
    # At the beginning of the first day.
    size = present - came + gone
    for place, day in enumerate(dates, 1):
        entered = sum(stay.number for stay in stays if stay.entered == place)
        left = sum(stay.number for stay in stays if stay.left_on == place)
        size += entered - left
        yield DaySizes(day, size, entered, left)


def number_in_any(segment_ids: Iterable[int], enrollments: QuerySet[Enrollment]) -> int:
    """Return how many of the enrollments are in at least one of the segments. One query."""
    stays = Membership.objects.filter(
        enrollment=OuterRef("pk"), segment__in=list(segment_ids), left_at=None
    )
    return enrollments.filter(Exists(stays)).count()
