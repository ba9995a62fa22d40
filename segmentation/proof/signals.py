"""Compare the signals in SQL with those of plain Python, from the stored events of a course."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from activity.models import Course, Enrollment, Event
from segmentation.proof.log import Act
from segmentation.proof.plain import LearnerReading, World
from segmentation.queries import read_signals
from segmentation.signals import SignalRef, SignalValue


@dataclass(frozen=True)
class SignalDifference:
    """The first signal that differs, of an enrollment."""

    enrollment_id: int
    identity: str
    sql: SignalValue
    python: SignalValue

    def __str__(self) -> str:
        return f"the signal {self.identity} is {self.sql} in SQL and {self.python} in Python"


def compare_signals(
    course: Course, refs: Sequence[SignalRef], *, as_of: datetime
) -> SignalDifference | None:
    """Return the first difference. It reads the whole event log of the course: for small ones."""
    world = _stored(course)
    by_id = {act.enrollment.pk: act.enrollment for act in world.acts}
    by_id |= Enrollment.objects.select_related("learner").in_bulk(
        list(course.enrollments.exclude(pk__in=by_id).values_list("pk", flat=True))
    )
    for row in read_signals(course, refs, as_of=as_of):
        reading = LearnerReading(world, by_id[row.enrollment_id], as_of)
        for ref in refs:
            sql, python = row.signals[ref.identity], reading.value(ref)
            if sql != python:
                return SignalDifference(row.enrollment_id, ref.identity, sql, python)
    return None


def _stored(course: Course) -> World:
    """Return the course with its items and all its acts, as they are stored."""
    events = Event.objects.filter(enrollment__course=course).order_by("occurred_at", "pk")
    acts = [
        Act(
            enrollment=event.enrollment,
            verb=event.verb,
            occurred_at=event.occurred_at,
            item=event.item,
            count=event.count,
            score=None if event.score is None else float(event.score),
            value=event.value,
            properties=event.properties,
        )
        for event in events.select_related("enrollment__learner", "item__parent")
    ]
    return World(course, list(course.items.select_related("parent")), acts)
