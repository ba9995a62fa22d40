"""Store a course's norms, one row per day, and renew them when its past has changed."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta

from django.db import connection, transaction

from activity.models import Course, PastChange
from activity.operations import count_edits, settle_edit
from common.clock import local_date
from segmentation.models import Norms
from segmentation.norms import NORMS, NormsValues
from segmentation.operations.revisions import note_norms
from segmentation.queries import compute_norms, courses_with_norms, stored_norms

# If another worker was first, its norms are kept. Norms that the row lacks are added: rules that
# came later need others, and so does a later release.
_KEEP = """
INSERT INTO segmentation_norms AS kept (course_id, day, figures, computed_at)
VALUES (%s, %s, %s::jsonb, %s)
ON CONFLICT (course_id, day) DO UPDATE
SET figures = excluded.figures || kept.figures, computed_at = excluded.computed_at
WHERE NOT kept.figures ?& %s::text[]
"""

# The first number of our advisory locks; the second is the course's id.
_LOCK_SPACE = 20_251


def ensure_norms(
    course_id: int, day: date, names: Collection[str] = NORMS, *, now: datetime
) -> NormsValues:
    """Return the course's norms of the day. Compute and store them if they are not stored yet.

    They use the events before the beginning of the day. If a rule needs norms, every enrollment is
    due at that midnight at the latest, so nothing needs to be pulled.
    """
    stored = stored_norms(course_id, day, names)
    if stored is not None:
        return stored
    # The shared lock prevents a renewal until the row is committed. Otherwise norms from an older
    # reading could be stored after the renewal and stay.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", _key(course_id))
    values = compute_norms(course_id, day, names)
    with connection.cursor() as cursor:
        kept = values.to_json()
        figures = json.dumps({name: kept[name] for name in names})
        cursor.execute(_KEEP, [course_id, day, figures, now, list(names)])
    return stored_norms(course_id, day, names) or values


def store_norms(days: Mapping[int, date], names: Collection[str], *, now: datetime) -> None:
    """Store the missing norms of the courses, each of its day. One query if none is missing.

    Each course has a transaction of its own, if no other one is open.
    """
    for course_id in sorted(days.keys() - courses_with_norms(days, names)):
        with transaction.atomic():
            ensure_norms(course_id, days[course_id], names, now=now)


def renew_norms(*, now: datetime, course_id: int | None = None) -> None:
    """Delete norms whose past has changed, and pull the courses whose norms of today are different.

    Call it outside a transaction. If the process dies, the next call does the rest.
    """
    courses = Course.objects.filter(pk__in=PastChange.objects.order_by().values("course_id"))
    if course_id is not None:
        courses = courses.filter(pk=course_id)
    for course in courses.order_by("pk"):
        with transaction.atomic():
            edit = _renew(course, now=now)
        if edit is not None:
            settle_edit(course.pk, edit, rebuild=False, now=now)


def _renew(course: Course, *, now: datetime) -> int | None:
    """Renew the course's norms. Return the number of the edit that has to be settled, if any."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _key(course.pk))
        # Another process renews or computes these norms. The next call will try again.
        if not cursor.fetchone()[0]:
            return None
    changes = list(PastChange.objects.filter(course=course))
    today = local_date(course.clock_stopped_at or now, course.time_zone)
    used = Norms.objects.filter(course=course, day=today).values_list("figures", flat=True).first()
    # Only those that an evaluation has used. A later release may know others.
    names = [name for name in NORMS if name in (used or {})]
    before = stored_norms(course.pk, today, names)
    _forget(course, changes)
    # Return if no evaluation has used the norms of today, or if they have not changed.
    if not names or ensure_norms(course.pk, today, names, now=now) == before:
        return None
    if _is_fresh(course, changes, now=now):
        note_norms(course.pk)
        return None
    # Transitions that come from late data or an edit must not start messages.
    return count_edits([course.pk])[course.pk]


def _forget(course: Course, changes: Sequence[PastChange]) -> None:
    """Delete the norms of the days after the earliest change, and the notes of these changes."""
    kept = Norms.objects.filter(course=course)
    instants = [change.occurred_at for change in changes if change.occurred_at is not None]
    if len(instants) == len(changes):
        days = [local_date(at, course.time_zone) for at in instants]
        kept = kept.filter(day__gt=min(days, default=date.max))
    kept.delete()
    # By id, so that a note that is committed meanwhile stays for the next renewal.
    PastChange.objects.filter(pk__in=[change.pk for change in changes]).delete()


def _is_fresh(course: Course, changes: Sequence[PastChange], *, now: datetime) -> bool:
    """Return whether all changes are recent events, or late events may start messages there."""
    if course.late_events_start:
        return all(change.occurred_at is not None for change in changes)
    limit = now - timedelta(hours=course.late_after_hours)
    return all(change.occurred_at is not None and change.occurred_at >= limit for change in changes)


def _key(course_id: int) -> list[int]:
    return [_LOCK_SPACE, course_id % 2**31]
