"""The norms of a course on one of its days: those that are stored, and those of now."""

import json
from datetime import date, datetime

from django.db.models import QuerySet

from activity.models import Course
from common.clock import local_date
from segmentation.models import Norms
from segmentation.norms import NormsValues, compile_norms, read_norms
from segmentation.queries.statements import fetched
from segmentation.signals import Need


def compute_norms(course_id: int, day: date) -> NormsValues:
    """Return the course's norms on the day, from what occurred before it began. One query."""
    sql, params = compile_norms(course_id, day)
    ((computed,),) = fetched(sql, params)
    return read_norms(json.loads(computed)) or NormsValues()


def norms_for(course_id: int, day: date) -> NormsValues:
    """Return the norms of the day as they are now, storing nothing. Up to two queries.

    They are computed where none are stored, and where the course's past has changed since.
    """
    current = Norms.objects.filter(course__past_changes=None)
    return stored_norms(course_id, day, among=current) or compute_norms(course_id, day)


def stored_norms(
    course_id: int, day: date, *, among: QuerySet[Norms] | None = None
) -> NormsValues | None:
    """Return the norms that are stored for the day, None if none are or one is new. One query."""
    rows = Norms.objects.all() if among is None else among
    stored = rows.filter(course_id=course_id, day=day).first()
    return None if stored is None else read_norms(stored.figures)


def norms_needed(course: Course, needs: frozenset[Need], *, as_of: datetime) -> NormsValues | None:
    """Return the course's norms at the instant, None where they are not among the needs."""
    if Need.NORMS not in needs:
        return None
    return norms_for(course.pk, local_date(as_of, course.time_zone))
