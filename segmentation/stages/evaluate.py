"""The evaluate stage: update the segments for the enrollments that are due."""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from time import monotonic

from activity.models import Course
from activity.operations import claim_due
from activity.queries import due_enrollments, feed_health
from common.database import passing_over_held, session_number, wait_shortly
from segmentation.operations.evaluation import (
    BatchError,
    EvaluationCounts,
    FeedHealthOf,
    Work,
    divided,
    evaluate_batch,
)
from segmentation.operations.norms import renew_norms
from segmentation.operations.revisions import pull_changed
from segmentation.operations.surges import decide_entries


def evaluate_due(
    *,
    now: datetime,
    budget_seconds: float = 30.0,
    course_id: int | None = None,
    batch_size: int = 5000,
    health: FeedHealthOf = feed_health,
) -> EvaluationCounts:
    """Evaluate the enrollments that are due now, of one course or of all, until the time is over.

    Enrollments that become due meanwhile wait for the next call.
    """
    deadline = monotonic() + budget_seconds
    with passing_over_held():
        renew_norms(now=now, course_id=course_id)
    with passing_over_held():
        pull_changed(now=now, course_id=course_id)
    waiting = deque(_shared(_due(now=now, course_id=course_id), size=batch_size))
    # Workers that begin at the same time take up different batches.
    waiting.rotate(-session_number())
    total = EvaluationCounts()
    while waiting and monotonic() < deadline:
        try:
            total += evaluate_batch(
                waiting.popleft(), partial(_claim, now=now), now=now, health=health
            )
        except BatchError as failure:
            # At the end: an enrollment that fails must not delay the courses that wait.
            waiting.extend(divided(failure, now=now))
    with passing_over_held():
        decide_entries(now=now, course_id=course_id)
    return total


def _due(*, now: datetime, course_id: int | None) -> Work:
    """Return the due enrollments by course, the longest waiting first."""
    due = due_enrollments(now=now, course_id=course_id)
    courses = deque(Course.objects.filter(id__in=due).order_by("id"))
    # The first course changes every second. So with more courses than the time allows, no course
    # always comes last.
    courses.rotate(-int(now.timestamp()))
    return {course: due[course.id] for course in courses}


def _shared(due: Work, *, size: int) -> Iterator[Work]:
    """Yield batches of at most `size` enrollments. Courses take turns: one of a million must not
    delay the others, and courses of a few enrollments share a batch.
    """
    waiting = deque((course, ids, 0) for course, ids in due.items())
    while waiting:
        batch: dict[Course, Sequence[int]] = {}
        room = size
        for _ in range(len(waiting)):
            course, ids, begun = waiting.popleft()
            batch[course] = ids[begun : begun + room]
            if begun + room < len(ids):
                waiting.append((course, ids, begun + room))
            room -= len(batch[course])
            if not room:
                break
        yield batch


def _claim(enrollment_ids: Sequence[int], *, now: datetime) -> list[int]:
    wait_shortly()
    return claim_due(enrollment_ids, now=now)
