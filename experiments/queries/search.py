"""Parts of the draws of an experiment, to find where arm sizes went wrong.

They are courses, days, segments, causes of entries, and sources of events.
"""

# Every value is a bound parameter. The texts put into the SQL are all written in this app.
# ruff: noqa: S608

from datetime import date, datetime
from typing import Any

from django.db import connection

from activity.access import Viewer, for_user
from activity.local_time import local_day
from activity.models import Course
from activity.read_models.columns import IS_ACT
from common.dates import iso_day_text
from experiments.models import Experiment
from experiments.queries.protocols import population_of
from experiments.reporting.search import Part
from segmentation.models import TransitionCause

_BY = f"""
SELECT enrollment.course_id, {local_day("drawn.assigned_at", "%(zone)s")}, arm.key, count(*)
FROM experiments_assignment drawn
JOIN experiments_arm arm ON arm.id = drawn.arm_id
JOIN activity_enrollment enrollment ON enrollment.id = drawn.enrollment_id
WHERE drawn.experiment_id = %(experiment_id)s AND drawn.assigned_at <= %(as_of)s
GROUP BY 1, 2, 3
"""

# The draws whose entries and events are looked up one by one. More would take too long for a page.
MOST_LOOKED_UP = 100_000
# Unit keys are random, so the first of them are draws chosen by chance, the same at each look.
_ENTERED = f"""
WITH drawn AS MATERIALIZED (
    SELECT assigned.enrollment_id, assigned.arm_id, assigned.assigned_at
    FROM experiments_assignment assigned
    WHERE assigned.experiment_id = %(experiment_id)s AND assigned.assigned_at <= %(as_of)s
    ORDER BY assigned.unit_key LIMIT %(most)s
)
SELECT entry.segment_id, COALESCE(entry.cause, ''), COALESCE(latest.source, ''),
    enrollment.course_id = ANY(%(seen)s), arm.key, count(*)
FROM drawn
JOIN experiments_arm arm ON arm.id = drawn.arm_id
JOIN activity_enrollment enrollment ON enrollment.id = drawn.enrollment_id
LEFT JOIN LATERAL (
    SELECT passed.segment_id, passed.cause FROM segmentation_transition passed
    WHERE passed.enrollment_id = drawn.enrollment_id AND passed.kind = 'enter'
        AND passed.segment_id = ANY(%(segments)s) AND passed.occurred_at <= drawn.assigned_at
    ORDER BY passed.id DESC LIMIT 1
) entry ON true
LEFT JOIN LATERAL (
    SELECT event.source FROM activity_event event
    WHERE event.enrollment_id = drawn.enrollment_id AND event.occurred_at <= drawn.assigned_at
        AND event.received_at <= drawn.assigned_at AND {IS_ACT}
    ORDER BY event.occurred_at DESC LIMIT 1
) latest ON true
GROUP BY 1, 2, 3, 4, 5
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


def entered_parts(experiment: Experiment, *, as_of: datetime, viewer: Viewer) -> list[Part]:
    """Return the draws by segment and cause of the entry, and by source of the last act before.

    A way to split that has one part only is left out. Of very many draws some are chosen by chance.
    What belongs to courses that the viewer may not see is not named. Four queries.
    """
    courses = for_user(Course.objects.all(), viewer).values_list("pk", flat=True)
    values: dict[str, Any] = {
        "experiment_id": experiment.pk,
        "as_of": as_of,
        "seen": list(courses),
        "segments": list(population_of(experiment).values_list("pk", flat=True)),
        "most": MOST_LOOKED_UP,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ENTERED, values)
        rows: list[tuple[int | None, str, str, bool, str, int]] = cursor.fetchall()
    names = dict(for_user(population_of(experiment), viewer).values_list("pk", "name"))
    ways: tuple[dict[str, dict[str, int]], ...] = ({}, {}, {})
    for segment, cause, source, is_seen, arm, number in rows:
        texts = (_segment(segment, names), _cause(cause), _source(source, is_seen=is_seen))
        for way, name in zip(ways, texts, strict=True):
            sizes = way.setdefault(name, {})
            sizes[arm] = sizes.get(arm, 0) + number
    looked_up = sum(number for *_, number in rows)
    note = f" (of {looked_up:,} draws chosen by chance)" if looked_up == MOST_LOOKED_UP else ""
    return [Part(name + note, sizes) for way in ways if len(way) > 1 for name, sizes in way.items()]


def _segment(segment_id: int | None, names: dict[int, str]) -> str:
    if segment_id is None:
        return "No entry into a segment is known"
    return f"The segment {names[segment_id]}" if segment_id in names else "Other segments"


def _cause(cause: str) -> str:
    return f"Entered by: {TransitionCause(cause).label}" if cause else "The cause is not known"


def _source(source: str, *, is_seen: bool) -> str:
    if not source:
        return "No act before the draw"
    return f"The source {source}" if is_seen else "Sources of other courses"
