"""Store the course, items, learners and enrollments of a staged run. Stored rows are kept.

Only the traits of a learner may change: those of the latest run are used.
"""

# Every value is bound; the text contains only the SQL for local times.
# ruff: noqa: S608

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from activity.importing.oulad.course import PASS_MARK, ZONE, OuladItem
from activity.importing.oulad.files import OuladError
from activity.local_time import local_instant, local_midnight_of
from activity.models import Course, Enrollment, Item

_NEW_LEARNERS = """
INSERT INTO activity_learner (external_id, name, given_name, time_zone, locale, traits)
SELECT 'oulad-' || student, '', '', '', '', traits FROM pg_temp.oulad_roster
ORDER BY 1
ON CONFLICT (external_id) DO NOTHING
"""

_LAST_MINUTE = local_instant("(%(ends_on)s::date + time '23:59')", "%(zone)s")

# Local midnights, not UTC ones: London is an hour ahead of UTC for half the year.
_NEW_ENROLLMENTS = f"""
INSERT INTO activity_enrollment
    (learner_id, course_id, unit_key, enrolled_at, withdrew_at, completed_at, traits)
SELECT learner.id, %(course)s, gen_random_uuid(),
    {local_midnight_of("%(day_0)s::date + COALESCE(registered_on, 0)", "%(zone)s")},
    {local_midnight_of("%(day_0)s::date + withdrew_on", "%(zone)s")},
    CASE WHEN has_completed THEN {_LAST_MINUTE} END,
    roster.enrollment_traits
FROM pg_temp.oulad_roster AS roster
JOIN activity_learner AS learner ON learner.external_id = 'oulad-' || roster.student
ORDER BY roster.student
ON CONFLICT (course_id, learner_id) DO NOTHING
RETURNING id, learner_id
"""

_NEW_DUE = """
INSERT INTO activity_due (enrollment_id, due_at, cause, attempts, error)
SELECT id, %(now)s, 0, 0, '' FROM unnest(%(ids)s::bigint[]) AS enrolled (id) ORDER BY id
"""

# A learner in several runs gets the traits of the latest run, in any order of import. The rows are
# locked in order, because two imports at once may change the same learners.
_NEW_TRAITS = """
WITH described AS (
    SELECT learner.id, learner.traits || roster.traits AS traits
    FROM activity_learner AS learner
    JOIN pg_temp.oulad_roster AS roster ON learner.external_id = 'oulad-' || roster.student
    WHERE learner.id = ANY(%(ids)s) AND NOT EXISTS (
        SELECT FROM activity_enrollment AS enrollment
        JOIN activity_course AS course ON course.id = enrollment.course_id
        WHERE enrollment.learner_id = learner.id AND course.key = ANY(%(later_runs)s)
    )
    ORDER BY learner.id
    FOR NO KEY UPDATE OF learner
)
UPDATE activity_learner AS learner SET traits = described.traits
FROM described
WHERE learner.id = described.id AND learner.traits <> described.traits
RETURNING learner.id
"""


@dataclass(frozen=True, slots=True)
class StoredRoster:
    """Counts of new rows, and the enrollments in other courses whose learner's traits changed."""

    items: int
    learners: int
    enrollments: int
    concerned: list[int]


def store_course(run: str, *, day_0: date, length: int) -> Course:
    """Return the run's course, created if it is new. Raise OuladError for another first day."""
    course, _ = Course.objects.get_or_create(
        key=run,
        defaults={
            "title": run.replace("_", " "),
            "time_zone": ZONE,
            "starts_on": day_0,
            "ends_on": day_0 + timedelta(days=length),
            "pass_mark": PASS_MARK,
        },
    )
    if course.starts_on != day_0:
        # Otherwise its events would be stored on two different calendars.
        raise OuladError(f"Run {run} exists already, but with {course.starts_on} as its day 0.")
    return course


def store_items(course: Course, items: Sequence[OuladItem], *, day_0: date) -> int:
    """Store the new items and return their number."""
    before = course.items.count()
    positions = {item.key: position for position, item in enumerate(items)}
    modules = [item for item in items if item.kind == "module"]
    others = [item for item in items if item.kind != "module"]
    parents: dict[str, int] = {}
    for part in (modules, others):
        rows = [_item(course, item, parents, day_0=day_0) for item in part]
        for row in rows:
            row.position = positions[row.key]
        Item.objects.bulk_create(rows, ignore_conflicts=True)
        parents = dict(course.items.filter(kind="module").values_list("key", "pk"))
    return course.items.count() - before


def store_people(course: Course, later_runs: Sequence[str], *, now: datetime) -> StoredRoster:
    """Store the new learners and enrollments of the staged roster, due at `now`."""
    values: dict[str, Any] = {
        "course": course.pk,
        "day_0": course.starts_on,
        "ends_on": course.ends_on,
        "zone": ZONE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEW_LEARNERS)
        learners = cursor.rowcount
        cursor.execute(_NEW_ENROLLMENTS, values)
        enrolled = cursor.fetchall()
        cursor.execute(_NEW_DUE, {"now": now, "ids": [pk for pk, _ in enrolled]})
    described = _describe([learner for _, learner in enrolled], later_runs)
    others = Enrollment.objects.filter(learner__in=described).exclude(course=course)
    concerned = list(others.order_by().values_list("pk", flat=True))
    return StoredRoster(0, learners, len(enrolled), concerned)


def _describe(learner_ids: list[int], later_runs: Sequence[str]) -> list[int]:
    values: dict[str, Any] = {"ids": learner_ids, "later_runs": list(later_runs)}
    with connection.cursor() as cursor:
        cursor.execute(_NEW_TRAITS, values)
        return [pk for (pk,) in cursor.fetchall()]


def _item(course: Course, item: OuladItem, parents: dict[str, int], *, day_0: date) -> Item:
    def day(number: int | None) -> date | None:
        return None if number is None else day_0 + timedelta(days=number)

    return Item(
        course=course,
        key=item.key,
        kind=item.kind,
        title=item.title,
        parent_id=parents.get(item.parent or ""),
        assigned_on=day(item.assigned_on),
        due_on=day(item.due_on),
    )
