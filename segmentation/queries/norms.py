"""The norms of a course on one day: stored ones, and ones computed now."""

import json
from collections.abc import Collection, Mapping
from datetime import date, datetime

from django.db.models import QuerySet

from activity.models import Course
from common.clock import local_date
from segmentation.models import Norms
from segmentation.norms import NORMS, NormsValues, compile_norms, norms_of, read_norms
from segmentation.queries.statements import fetched
from segmentation.signals import Need


def compute_norms(course_id: int, day: date, names: Collection[str] = NORMS) -> NormsValues:
    """Return the course's norms on the day, from events before its beginning. One query."""
    sql, params = compile_norms(course_id, day, names)
    ((computed,),) = fetched(sql, params)
    return read_norms(json.loads(computed), names) or NormsValues()


def norms_for(course_id: int, day: date, names: Collection[str] = NORMS) -> NormsValues:
    """Return the current norms of the day without storing them. Up to two queries.

    They are computed if none are stored, or if the course's past has changed since.
    """
    current = Norms.objects.filter(course__past_changes=None)
    stored = stored_norms(course_id, day, names, among=current)
    return stored or compute_norms(course_id, day, names)


def stored_norms(
    course_id: int,
    day: date,
    names: Collection[str] = NORMS,
    *,
    among: QuerySet[Norms] | None = None,
) -> NormsValues | None:
    """Return the stored norms of the day, or None if any of them is missing. One query."""
    rows = Norms.objects.all() if among is None else among
    stored = rows.filter(course_id=course_id, day=day).first()
    return None if stored is None else read_norms(stored.figures, names)


def courses_with_norms(days: Mapping[int, date], names: Collection[str] = NORMS) -> set[int]:
    """Return the courses that have stored the norms of the day given for them. One query."""
    rows = Norms.objects.filter(
        course_id__in=days, day__in=set(days.values()), figures__has_keys=list(names)
    )
    stored = rows.values_list("course_id", "day")
    return {course_id for course_id, day in stored if days[course_id] == day}


def norms_needed(course: Course, needs: frozenset[Need], *, as_of: datetime) -> NormsValues | None:
    """Return the course's norms at the instant, or None if they are not needed."""
    names = norms_of(needs)
    if not names:
        return None
    return norms_for(course.pk, local_date(as_of, course.time_zone), names)
