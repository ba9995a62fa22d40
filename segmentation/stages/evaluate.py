"""The evaluate stage: update the segments for the enrollments that are due."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import monotonic

from activity.models import Course
from activity.operations import claim_due
from activity.queries import due_enrollments, feed_health
from common.database import passing_over_held, wait_shortly
from segmentation.operations.evaluation import (
    BatchError,
    EvaluationCounts,
    FeedHealthOf,
    evaluate_batch,
    put_off,
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
    due = due_enrollments(now=now, course_id=course_id)
    work = [
        CourseWork(course, due[course.id], now=now, largest=batch_size, health=health)
        for course in Course.objects.filter(id__in=due).order_by("id")
    ]
    total = EvaluationCounts()
    # The first course changes every second. So with more courses than the time allows, no course
    # always comes last.
    waiting = deque(work)
    waiting.rotate(-int(now.timestamp()))
    # One batch per course in turn: a course of a million must not delay the others.
    while waiting and monotonic() < deadline:
        one = waiting.popleft()
        total += one.evaluate_batch()
        if not one.is_done:
            waiting.append(one)
    with passing_over_held():
        decide_entries(now=now, course_id=course_id)
    return total


@dataclass
class CourseWork:
    """The evaluation of one course. A batch that fails is tried again in smaller parts."""

    course: Course
    # The enrollments that were due, the longest waiting first.
    due: list[int]
    now: datetime = field(kw_only=True)
    largest: int = field(kw_only=True)
    health: FeedHealthOf = field(kw_only=True)
    _begun: int = 0
    _limit: int = field(init=False)

    def __post_init__(self) -> None:
        self._limit = self.largest

    @property
    def is_done(self) -> bool:
        """Return whether all enrollments that were due have been handled."""
        return self._begun >= len(self.due)

    def evaluate_batch(self) -> EvaluationCounts:
        """Evaluate the next batch. Delay a single enrollment whose evaluation fails."""
        following = self.due[self._begun : self._begun + self._limit]
        try:
            counts = evaluate_batch(
                self.course, partial(self._claim, following), now=self.now, health=self.health
            )
        except BatchError as failure:
            self._split(failure)
            return EvaluationCounts()
        self._begun += len(following)
        self._limit = min(self._limit * 2, self.largest)
        return counts

    def _claim(self, enrollment_ids: Sequence[int]) -> list[int]:
        wait_shortly()
        return claim_due(enrollment_ids, now=self.now)

    def _split(self, failure: BatchError) -> None:
        # The next turn starts at the same enrollment, so smaller batches isolate the failing one.
        if len(failure.enrollment_ids) > 1:
            self._limit = max(1, len(failure.enrollment_ids) // 8)
            return
        put_off(failure, self.course, now=self.now)
