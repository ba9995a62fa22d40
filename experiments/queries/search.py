"""The draws of an experiment by course and by day, to find where arm sizes went wrong."""

# Every value is a bound parameter. The texts put into the SQL are all written in this app.
# ruff: noqa: S608

from datetime import date, datetime

from django.db import connection

from activity.access import Viewer, for_user
from activity.local_time import local_day
from activity.models import Course
from common.dates import iso_day_text
from experiments.reporting.search import Part

_BY = f"""
SELECT enrollment.course_id, {local_day("drawn.assigned_at", "%(zone)s")}, arm.key, count(*)
FROM experiments_assignment drawn
JOIN experiments_arm arm ON arm.id = drawn.arm_id
JOIN activity_enrollment enrollment ON enrollment.id = drawn.enrollment_id
WHERE drawn.experiment_id = %(experiment_id)s AND drawn.assigned_at <= %(as_of)s
GROUP BY 1, 2, 3
"""


def drawn_parts(experiment_id: int, *, zone: str, as_of: datetime, viewer: Viewer) -> list[Part]:
    """Return the draws by course and by day in the zone. Two queries.

    Courses that the viewer may not see are one part without a name.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BY, {"experiment_id": experiment_id, "zone": zone, "as_of": as_of})
        rows: list[tuple[int, date, str, int]] = cursor.fetchall()
    titles = dict(for_user(Course.objects.all(), viewer).values_list("pk", "title"))
    parts: dict[str, dict[str, int]] = {}
    for course, day, arm, number in rows:
        where = f"The course {titles[course]}" if course in titles else "Other courses"
        for name in (where, f"Drawn on {iso_day_text(day.isoformat())}"):
            sizes = parts.setdefault(name, {})
            sizes[arm] = sizes.get(arm, 0) + number
    return [Part(name, sizes) for name, sizes in parts.items()]
