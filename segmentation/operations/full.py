"""Evaluate every enrollment of courses at one instant, whether it is due or not."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db.models import Count, Max

from activity.models import Course, Due
from activity.queries import feed_health
from segmentation.models import Membership, Segment
from segmentation.operations.errors import SegmentationError
from segmentation.operations.evaluation import (
    BatchError,
    EvaluationCounts,
    Work,
    divided,
    evaluate_batch,
)
from segmentation.operations.norms import renew_norms
from segmentation.operations.revisions import pull_changed
from segmentation.operations.segments import EVALUATED
from segmentation.operations.surges import decide_entries

# A large batch reads a course's items and norms fewer times. A larger one would need more memory.
LARGE_BATCH_SIZE = 50_000


@dataclass(frozen=True)
class CourseEvaluation:
    """The counts of a full evaluation, and the size of each segment afterwards, by its key.

    `left_out` enrollments were not evaluated: their evaluation failed and is delayed, or they were
    evaluated as of a later instant meanwhile.
    """

    counts: EvaluationCounts
    members: dict[str, int]
    left_out: int


def evaluate_courses(
    courses: Sequence[Course],
    *,
    as_of: datetime,
    batch_size: int = LARGE_BATCH_SIZE,
    on_batch: Callable[[int], object] = lambda evaluated: None,
) -> CourseEvaluation:
    """Evaluate all enrollments of the courses as of the instant.

    `on_batch` is called with the number of enrollments of each batch. The function waits for
    enrollments that an ingest, a message or another evaluation holds. For an instant before a
    course's last evaluation, raise SegmentationError before anything is written: memberships
    cannot go back. Use `preview` and `read_signals` to read the past.
    """
    for course in courses:
        _check_instant(course, as_of=as_of)
    counts, left_out = EvaluationCounts(), 0
    for course in courses:
        done, missing = _evaluate(course, as_of=as_of, batch_size=batch_size, on_batch=on_batch)
        counts, left_out = counts + done, left_out + missing
    return CourseEvaluation(counts, _members(courses), left_out)


def _check_instant(course: Course, *, as_of: datetime) -> None:
    stopped = course.clock_stopped_at
    if stopped is not None and stopped != as_of:
        raise SegmentationError(
            f"The clock of course '{course.key}' stopped at {stopped.isoformat()}:"
            " the course can be evaluated only as of that instant."
        )
    last = Due.objects.filter(enrollment__course=course).aggregate(at=Max("evaluated_at"))["at"]
    if last is not None and as_of < last:
        raise SegmentationError(
            f"Course '{course.key}' was last evaluated as of {last.isoformat()}:"
            " it cannot be evaluated as of an earlier instant."
        )


def _evaluate(
    course: Course, *, as_of: datetime, batch_size: int, on_batch: Callable[[int], object]
) -> tuple[EvaluationCounts, int]:
    """Return the counts, and how many enrollments were not evaluated."""
    renew_norms(now=as_of, course_id=course.id)
    pull_changed(now=as_of, course_id=course.id)
    ids = list(course.enrollments.order_by("pk").values_list("pk", flat=True))
    starts = range(0, len(ids), batch_size)
    waiting: deque[Work] = deque({course: ids[start : start + batch_size]} for start in starts)
    total = EvaluationCounts()
    while waiting:
        work = waiting.popleft()
        try:
            counts = evaluate_batch(
                work, partial(_wait_for, as_of=as_of), now=as_of, health=feed_health
            )
        except BatchError as failure:
            waiting.extend(divided(failure, now=as_of))
            continue
        on_batch(counts.evaluated)
        total += counts
    decide_entries(now=as_of, course_id=course.id)
    # The second number includes failures and later evaluations, so none is unaccounted for.
    return total, len(ids) - total.evaluated


def _wait_for(enrollment_ids: Sequence[int], *, as_of: datetime) -> list[int]:
    """Lock the Due rows. Return their enrollments, except those evaluated as of a later instant."""
    # In enrollment order, as in every function that waits for these locks. Without SKIP LOCKED,
    # because enrollments that an ingest or evaluation holds have to be evaluated too.
    rows = Due.objects.filter(pk__in=enrollment_ids).order_by("pk").select_for_update(no_key=True)
    # Read under the lock: meanwhile another evaluation may have evaluated them as of its own now.
    instants = rows.values_list("pk", "evaluated_at")
    return [pk for pk, at in instants if at is None or at <= as_of]


def _members(courses: Sequence[Course]) -> dict[str, int]:
    """Return the sizes of the courses' segments, including empty ones, in order of priority."""
    kept = Segment.objects.filter(status__in=EVALUATED, playbook__courses__in=courses).distinct()
    segments = list(kept.select_related("playbook").order_by("playbook__key", "priority", "key"))
    held = Membership.objects.filter(left_at__isnull=True, enrollment__course__in=courses)
    counted = held.order_by().values("segment").annotate(size=Count("pk"))
    sizes = dict(counted.values_list("segment", "size"))
    keys = [segment.key for segment in segments]
    return {
        # Two playbooks may use the same key. Then the playbook's key is added.
        one.key if keys.count(one.key) == 1 else f"{one.playbook.key}/{one.key}": sizes.get(
            one.id, 0
        )
        for one in segments
    }
