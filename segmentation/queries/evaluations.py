"""What the evaluations of a course took by day, and when a segment was frozen."""

from datetime import date

from django.db.models import QuerySet

from activity.models import Course
from segmentation.models import EvaluationDay, Freeze, Segment

MOST_FREEZES = 10


def evaluation_days(course: Course, *, since: date) -> QuerySet[EvaluationDay]:
    """Return the course's days from `since` on, the latest first. Days without any are left out."""
    return EvaluationDay.objects.filter(course=course, day__gte=since).order_by("-day")


def freezes_of(segment: Segment) -> QuerySet[Freeze]:
    """Return the last ten times in which the segment was frozen, the latest first."""
    return Freeze.objects.filter(segment=segment).order_by("-frozen_at", "-pk")[:MOST_FREEZES]
