"""Queries about learners' activity for other apps. Read only."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection
from django.db.models import Min

from activity.models import Course, DailyActivity, Due
from common.clock import local_date

# So many ids take 40 megabytes. Further enrollments are handled at the next beat.
MOST_DUE = 1_000_000


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """Whether a course's events arrive as usual, and if not, since when."""

    status: str = "ok"
    since: datetime | None = None


def feed_health(course: Course, *, now: datetime) -> FeedHealth:
    """Return whether the course's events arrive as usual. Always ok, as nothing measures it yet."""
    del course, now
    return FeedHealth()


# Starts from the due rows and looks up the course of each, so its time grows with the number of due
# rows only. For a query by course, the planner would read all courses without due rows, or all due
# rows once per course. OFFSET 0 keeps the planner from reordering the join.
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
    """Return the due enrollments by course id, the longest waiting first. One query.

    For one course, return all of them. For all courses, return the `limit` longest waiting.
    """
    values = {"now": now, "course": course_id, "limit": limit if course_id is None else None}
    with connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        return dict(cursor.fetchall())


def oldest_due(*, now: datetime) -> datetime | None:
    """Return the instant since which the longest waiting enrollment has been due. One query."""
    waiting = Due.objects.filter(due_at__lte=now)
    oldest: datetime | None = waiting.aggregate(oldest=Min("due_at"))["oldest"]
    return oldest


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
