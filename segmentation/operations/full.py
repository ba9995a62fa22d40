"""Evaluate every enrollment of courses at one instant, due or not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max

from activity.models import Course, Due, DueCause
from activity.operations import pull_course
from activity.queries import feed_health
from segmentation.models import Membership, Segment
from segmentation.operations.errors import SegmentationError
from segmentation.operations.evaluation import CourseWork, EvaluationCounts
from segmentation.operations.revisions import pull_changed
from segmentation.operations.segments import EVALUATED

# The fewer batches, the fewer times a course's items and norms are read; more would need memory.
LARGE_BATCH = 50_000


@dataclass(frozen=True)
class CourseEvaluation:
    """What a full evaluation did, and how many members each segment then has, by its key."""

    counts: EvaluationCounts
    members: dict[str, int]


def evaluate_courses(
    courses: Sequence[Course],
    *,
    as_of: datetime,
    batch: int = LARGE_BATCH,
    on_batch: Callable[[int], object] = lambda evaluated: None,
) -> CourseEvaluation:
    """Evaluate everybody in the courses as of the instant. `on_batch` hears how many were done.

    Raise SegmentationError, before anything is written, for an instant before a course's last
    evaluation: memberships only go forward. The past is read with `preview` and `read_signals`.
    """
    for course in courses:
        _check_instant(course, as_of=as_of)
    counts = EvaluationCounts()
    for course in courses:
        counts += _evaluate(course, as_of=as_of, batch=batch, on_batch=on_batch)
    return CourseEvaluation(counts, _members(courses))


def _check_instant(course: Course, *, as_of: datetime) -> None:
    stopped = course.clock_stopped_at
    if stopped is not None and stopped != as_of:
        raise SegmentationError(
            f"The clock of course '{course.key}' stopped at {stopped.isoformat()}:"
            " it can be evaluated at that instant only."
        )
    last = Due.objects.filter(enrollment__course=course).aggregate(at=Max("evaluated_at"))["at"]
    if last is not None and as_of < last:
        raise SegmentationError(
            f"Course '{course.key}' was last evaluated as of {last.isoformat()}:"
            " it cannot be evaluated as of an earlier instant."
        )


def _evaluate(
    course: Course, *, as_of: datetime, batch: int, on_batch: Callable[[int], object]
) -> EvaluationCounts:
    pull_changed(now=as_of, course_id=course.id)
    pull_course(course.id, at=as_of, cause=DueCause.TIME)
    work = CourseWork(course, now=as_of, largest=batch, health=feed_health)
    total = EvaluationCounts()
    while not work.is_done:
        counts = work.evaluate_batch()
        on_batch(counts.evaluated)
        total += counts
    return total


def _members(courses: Sequence[Course]) -> dict[str, int]:
    """Return the sizes of the courses' segments, empty ones too, in order of priority."""
    kept = Segment.objects.filter(status__in=EVALUATED, playbook__courses__in=courses).distinct()
    segments = list(kept.select_related("playbook").order_by("playbook__key", "priority", "key"))
    held = Membership.objects.filter(left_at__isnull=True, enrollment__course__in=courses)
    counted = held.order_by().values("segment").annotate(size=Count("pk"))
    sizes = dict(counted.values_list("segment", "size"))
    keys = [segment.key for segment in segments]
    return {
        # Two playbooks may use the same key; then the playbook's tells them apart.
        one.key if keys.count(one.key) == 1 else f"{one.playbook.key}/{one.key}": sizes.get(
            one.id, 0
        )
        for one in segments
    }
