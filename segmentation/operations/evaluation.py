"""Keep the segments true: evaluate the enrollments that are due, a batch a transaction."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import monotonic

from django.db import connection, transaction

from activity.models import Course
from activity.operations import claim_due, fail_due, push_due
from activity.queries import FeedHealth, due_enrollments, feed_health
from common.database import (
    check_references,
    is_held,
    is_outage,
    passing_over_held,
    wait_shortly,
)
from common.tally import note
from segmentation.operations.batches import decide
from segmentation.operations.definitions import read_definitions
from segmentation.operations.differences import Batch
from segmentation.operations.norms import renew_norms
from segmentation.operations.revisions import pull_changed
from segmentation.operations.segments import freeze_segment
from segmentation.operations.surges import settle_entries

log = logging.getLogger(__name__)

FeedHealthOf = Callable[..., FeedHealth]
# Locks the Due rows of enrollments in the open transaction and returns their ids.
Claim = Callable[[], list[int]]

# A few hash tables over a batch of enrollments; compiling such statements costs more than it saves.
# A batch is found by index, which on disks without a moving arm hardly costs more than a scan.
# A commit need not wait for the disk: a server that crashes before has the rows due again, and
# whatever follows from an evaluation waits for the disk with all that was written before it.
_SETTINGS = """
SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL random_page_cost = 1.1;
SET LOCAL synchronous_commit = off
"""


@dataclass(frozen=True)
class EvaluationCounts:
    """How many enrollments were evaluated, how many memberships began and ended."""

    evaluated: int = 0
    entered: int = 0
    left: int = 0

    def __add__(self, other: "EvaluationCounts") -> "EvaluationCounts":
        return EvaluationCounts(
            self.evaluated + other.evaluated, self.entered + other.entered, self.left + other.left
        )


class BatchError(Exception):
    """A batch could not be evaluated for a reason that lies in one of its enrollments."""

    def __init__(self, enrollment_ids: Sequence[int]) -> None:
        super().__init__(f"{len(enrollment_ids)} enrollments could not be evaluated")
        self.enrollment_ids = enrollment_ids


def evaluate_due(
    *,
    now: datetime,
    budget_seconds: float = 30.0,
    course_id: int | None = None,
    batch: int = 5000,
    health: FeedHealthOf = feed_health,
) -> EvaluationCounts:
    """Evaluate what is due now, of one course or of all, until the time is used up.

    What becomes due meanwhile waits for the next call.
    """
    deadline = monotonic() + budget_seconds
    with passing_over_held():
        renew_norms(now=now, course_id=course_id)
    with passing_over_held():
        pull_changed(now=now, course_id=course_id)
    due = due_enrollments(now=now, course_id=course_id)
    work = [
        CourseWork(course, due[course.id], now=now, largest=batch, health=health)
        for course in Course.objects.filter(id__in=due).order_by("id")
    ]
    total = EvaluationCounts()
    # Another course begins each second: with more courses than the time allows, none waits for
    # ever behind the same others.
    waiting = deque(work)
    waiting.rotate(-int(now.timestamp()))
    # One batch a course in turn: a course of a million must not keep the others waiting.
    while waiting and monotonic() < deadline:
        one = waiting.popleft()
        total += one.evaluate_batch()
        if not one.is_done:
            waiting.append(one)
    with passing_over_held():
        settle_entries(now=now, course_id=course_id)
    return total


@dataclass
class CourseWork:
    """One course's evaluation in progress. A batch that fails is tried again in smaller parts."""

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
        """Return whether everybody who was due has had a turn."""
        return self._begun >= len(self.due)

    def evaluate_batch(self) -> EvaluationCounts:
        """Evaluate the next batch. Put off the one enrollment whose evaluation fails."""
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
        # The same ones have the next turn, so smaller and smaller batches close in on it.
        if len(failure.enrollment_ids) > 1:
            self._limit = max(1, len(failure.enrollment_ids) // 8)
            return
        put_off(failure, now=self.now)


def put_off(failure: BatchError, *, now: datetime) -> None:
    """Have the one enrollment of the failed batch evaluated later, and show staff why."""
    cause = failure.__cause__
    fail_due(failure.enrollment_ids, now=now, error=f"{type(cause).__name__}: {cause}")
    note("enrollments put off", type(cause).__name__, count=len(failure.enrollment_ids))
    log.error("Enrollment %s failed", failure.enrollment_ids[0], exc_info=cause)


def evaluate_batch(
    course: Course, claim: Claim, *, now: datetime, health: FeedHealthOf
) -> EvaluationCounts:
    """Evaluate the enrollments of the course that `claim` locks, in one transaction.

    Raise BatchError where that fails for one of them: then nothing of the batch was written.
    """
    # A stopped clock shows the course as of the end of its simulation, for good.
    as_of = course.clock_stopped_at or now
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_SETTINGS)
        ids = claim()
        if not ids:
            return EvaluationCounts()
        is_silent = health(course, now=as_of).status != "ok"
        batch = Batch(course=course, as_of=as_of, enrollment_ids=ids, is_silent=is_silent)
        try:
            counts = _evaluate_claimed(batch)
            check_references()
            return counts
        except Exception as error:
            # Who else holds a row of one enrollment costs that one its turn, and no other.
            if is_outage(error) and not is_held(error):
                raise
            raise BatchError(ids) from error


def _evaluate_claimed(batch: Batch) -> EvaluationCounts:
    # From here on every statement sees what was committed before the rows were locked. In the
    # claiming statement itself the signals would be older than the locks.
    definitions, outcome = decide(read_definitions(batch.course.id), batch)
    for fault in definitions.faults:
        freeze_segment(fault.segment_id, version=fault.version, error=fault.error)
    is_stopped = batch.course.clock_stopped_at is not None
    push_due(
        list(outcome.due_at),
        [None if is_stopped else at for at in outcome.due_at.values()],
        evaluated_at=batch.as_of,
        rules_revision=definitions.revision,
    )
    return EvaluationCounts(len(outcome.due_at), outcome.entered, outcome.left)
