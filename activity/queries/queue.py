"""The queue of enrollments that are due."""

from datetime import datetime

from django.db import connection
from django.db.models import Min

from activity.models import Due

# So many ids take 40 megabytes. Further enrollments are handled at the next beat.
MOST_DUE = 1_000_000


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
