"""Store the staged clicks and submissions of a run as events. Stored events are not changed."""

# Every value is bound; the text contains only the shared list of columns.
# ruff: noqa: S608

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from activity.importing.oulad.course import ZONE
from activity.local_time import local_instant
from activity.models import Course

_INSERT = """
INSERT INTO activity_event (enrollment_id, item_id, verb, occurred_at, received_at, count, score,
    passed, properties, source, source_id)
"""

_NOON = local_instant("(%(day_0)s::date + day + time '12:00')", "%(zone)s")
_AN_HOUR_LATER = local_instant("(%(day_0)s::date + day + time '13:00')", "%(zone)s")

# Sorted by student, site and day, like the key. So two imports at once lock rows in the same order,
# and the events of an enrollment are stored together.
_CLICKS = f"""{_INSERT}
SELECT enrolled.id, item.id,
    CASE item.kind WHEN 'resource' THEN 'DOWNLOAD_RESOURCE' ELSE 'VIEW_ITEM' END,
    {_NOON}, %(now)s, clicks, NULL, NULL,
    '{{}}', 'oulad', 'vle:' || %(run)s || ':' || student || ':' || site || ':' || day
FROM pg_temp.oulad_clicks
JOIN pg_temp.oulad_enrolled AS enrolled USING (student)
JOIN activity_item AS item ON item.course_id = %(course)s AND item.key = 'site-' || site
WHERE enrolled.id = ANY(%(ids)s)
ORDER BY student, site, day
ON CONFLICT (source, source_id) DO NOTHING
"""

# A submission of a dated assessment also completes its unit at the same instant.
_SUBMISSIONS = f"""{_INSERT}
SELECT enrolled.id, stored.item_id, stored.verb,
    {_AN_HOUR_LATER}, %(now)s, 1, stored.score,
    stored.score >= %(pass_mark)s, '{{}}', 'oulad',
    stored.prefix || ':' || %(run)s || ':' || student || ':' || assessment
FROM pg_temp.oulad_submissions AS submission
JOIN pg_temp.oulad_enrolled AS enrolled USING (student)
JOIN activity_item AS item
    ON item.course_id = %(course)s AND item.key = 'assessment-' || assessment
CROSS JOIN LATERAL (VALUES
    ('assessment', item.id, submission.score / 100,
        CASE item.kind WHEN 'quiz' THEN 'ATTEMPT_QUIZ' ELSE 'SUBMIT_ASSIGNMENT' END),
    ('unit', item.parent_id, NULL, 'COMPLETE_MODULE')
) AS stored (prefix, item_id, score, verb)
WHERE stored.item_id IS NOT NULL AND enrolled.id = ANY(%(ids)s)
ORDER BY stored.prefix, student, assessment
ON CONFLICT (source, source_id) DO NOTHING
"""

_ENROLLED = """
CREATE TEMP TABLE oulad_enrolled ON COMMIT DROP AS
SELECT roster.student, enrollment.id
FROM pg_temp.oulad_roster AS roster
JOIN activity_learner AS learner ON learner.external_id = 'oulad-' || roster.student
JOIN activity_enrollment AS enrollment
    ON enrollment.learner_id = learner.id AND enrollment.course_id = %(course)s
"""


def match_enrollments(course: Course) -> list[int]:
    """Find the enrollments of the staged roster for `store_events`. Return their ids in order."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.oulad_enrolled")
        cursor.execute(_ENROLLED, {"course": course.pk})
        # The clicks are stored for a few students at a time.
        cursor.execute("CREATE INDEX ON pg_temp.oulad_clicks (student)")
        # Without statistics the planner joins a million clicks by nested loops.
        cursor.execute("ANALYZE pg_temp.oulad_enrolled, pg_temp.oulad_clicks")
        cursor.execute("SELECT id FROM pg_temp.oulad_enrolled ORDER BY id")
        return [pk for (pk,) in cursor.fetchall()]


def store_events(course: Course, enrollment_ids: Sequence[int], *, now: datetime) -> int:
    """Store the new staged events of these enrollments, and return their number.

    The enrollments are some of those that `match_enrollments` returned. The caller holds their Due
    rows.
    """
    values: dict[str, Any] = {
        "course": course.pk,
        "run": course.key,
        "day_0": course.starts_on,
        "pass_mark": course.pass_mark,
        "zone": ZONE,
        "now": now,
        "ids": list(enrollment_ids),
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLICKS, values)
        clicked = int(cursor.rowcount)
        cursor.execute(_SUBMISSIONS, values)
        return clicked + int(cursor.rowcount)
