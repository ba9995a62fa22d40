"""Courses: their zones and the local days of their activity."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection
from django.db.models import Q, QuerySet

from activity.models import Course, DailyActivity, Enrollment
from common.clock import local_date


@dataclass(frozen=True, slots=True)
class WrongDay:
    """A row of DailyActivity whose last act is on another day according to zoneinfo."""

    enrollment_id: int
    at: datetime
    day: date
    expected: date


def wrong_day(course: Course) -> WrongDay | None:
    """Return a row of DailyActivity with a wrong day according to zoneinfo, None if there is none.

    The function reads every row of the course. Use it in proofs, not in pages.
    """
    rows = DailyActivity.objects.filter(enrollment__course=course)
    for enrollment_id, at, day in (
        rows.order_by("pk").values_list("enrollment_id", "last_act_at", "day").iterator()
    ):
        expected = day if at is None else local_date(at, course.time_zone)
        if at is not None and day != expected:
            return WrongDay(enrollment_id, at, day, expected)
    return None


def zones_unknown() -> list[tuple[str, str]]:
    """Return key and zone of the courses with an unknown zone: a newer tzdata may drop a name."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT key, time_zone FROM activity_course AS course
            WHERE NOT EXISTS (SELECT FROM activity_zoneperiod WHERE zone = course.time_zone)
            ORDER BY key
            """
        )
        return list(cursor.fetchall())


def course_id_of(key: str) -> int | None:
    """Return the id of the course with this key, None if there is none."""
    return Course.objects.filter(key=key).values_list("pk", flat=True).first()


def in_scope(course: Course, *, as_of: datetime) -> QuerySet[Enrollment]:
    """Return the enrollments that segments look at: not withdrawn, not completed, not over."""
    rows = course.enrollments.order_by()
    if not course.starts_on <= local_date(as_of, course.time_zone) <= course.ends_on:
        return rows.none()
    gone = Q(withdrew_at__lte=as_of) | Q(completed_at__lte=as_of)
    return rows.filter(enrolled_at__lte=as_of).exclude(gone)
