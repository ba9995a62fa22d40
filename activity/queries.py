"""What other apps may ask of what learners did. Writes nothing."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection
from django.db.models import Min

from activity.models import Course, DailyActivity, Due
from common.clock import local_date

# Their ids take 40 megabytes; who waits longer than that comes with the next beat.
MOST_DUE = 1_000_000


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """Whether a course's events come as usual, and since when they do not."""

    status: str = "ok"
    since: datetime | None = None


def feed_health(course: Course, *, now: datetime) -> FeedHealth:
    """Return whether the course's events come as usual. Until a norm is kept, always ok."""
    del course, now
    return FeedHealth()


# From the due rows, each to its course: what it takes grows with what is due, and that is evaluated
# next. Asked course by course, the planner walks through all courses in which nobody is due, or
# through all that is due once for each course. OFFSET 0 keeps it from choosing.
_DUE = """
SELECT found.course_id, array_agg(due.enrollment_id ORDER BY due.due_at, due.enrollment_id)
FROM (
    SELECT enrollment_id, due_at FROM activity_due WHERE due_at <= %(now)s
    ORDER BY due_at LIMIT %(limit)s
) AS due
CROSS JOIN LATERAL (
    SELECT course_id FROM activity_enrollment WHERE id = due.enrollment_id OFFSET 0
) AS found
WHERE %(course)s::bigint IS NULL OR found.course_id = %(course)s
GROUP BY found.course_id
ORDER BY found.course_id
"""


def due_enrollments(
    *, now: datetime, course_id: int | None = None, limit: int = MOST_DUE
) -> dict[int, list[int]]:
    """Return the enrollments that are due by course id, the longest waiting first. One query.

    Of one course or of all; the `limit` longest waiting of all courses together.
    """
    values = {"now": now, "course": course_id, "limit": limit if course_id is None else None}
    with connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        return dict(cursor.fetchall())


def oldest_due(*, now: datetime) -> datetime | None:
    """Return since when the longest waiting enrollment is due. One query."""
    waiting = Due.objects.filter(due_at__lte=now)
    oldest: datetime | None = waiting.aggregate(oldest=Min("due_at"))["oldest"]
    return oldest


@dataclass(frozen=True, slots=True)
class WrongDay:
    """An enrollment's day of activity whose last act lies on another day by zoneinfo."""

    enrollment_id: int
    at: datetime
    day: date
    expected: date


def wrong_day(course: Course) -> WrongDay | None:
    """Return a row of DailyActivity that zoneinfo would date otherwise, None if there is none.

    Reads every row of the course: for proofs, not for pages.
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
    """Return key and zone of the courses whose zone is not kept: a newer tzdata may drop a name."""
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
