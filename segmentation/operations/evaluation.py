"""Evaluate enrollments of a course, one batch per transaction."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from time import monotonic

from django.db import connection, transaction

from activity.models import Course
from activity.operations import fail_due, push_due
from activity.queries import FeedHealth
from common.database import check_references, is_held, is_outage
from common.tally import note
from segmentation.operations.batches import decide
from segmentation.operations.definitions import read_definitions
from segmentation.operations.differences import Batch
from segmentation.operations.evaluation_days import Tally, note_evaluations
from segmentation.operations.segments import freeze_segment

log = logging.getLogger(__name__)

FeedHealthOf = Callable[..., FeedHealth]
# A function that locks the Due rows of enrollments in the open transaction and returns their ids.
Claim = Callable[[], list[int]]

# work_mem: a few hash tables over a batch of enrollments must fit into memory.
# jit: compiling such statements takes more time than it saves.
# random_page_cost: a batch is read by index, and on an SSD that costs hardly more than a scan.
# synchronous_commit: if the server crashes before the commit is on disk, the rows are due again.
# Later commits that depend on an evaluation are synchronous and put it on disk too.
_SETTINGS = """
SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; SET LOCAL random_page_cost = 1.1;
SET LOCAL synchronous_commit = off
"""


@dataclass(frozen=True)
class EvaluationCounts:
    """How many enrollments were evaluated, and how many memberships began and ended."""

    evaluated: int = 0
    entered: int = 0
    left: int = 0

    def __add__(self, other: "EvaluationCounts") -> "EvaluationCounts":
        return EvaluationCounts(
            self.evaluated + other.evaluated, self.entered + other.entered, self.left + other.left
        )


class BatchError(Exception):
    """A batch could not be evaluated because of one of its enrollments."""

    def __init__(self, enrollment_ids: Sequence[int]) -> None:
        super().__init__(f"{len(enrollment_ids)} enrollments could not be evaluated")
        self.enrollment_ids = enrollment_ids


def evaluate_batch(
    course: Course, claim: Claim, *, now: datetime, health: FeedHealthOf
) -> EvaluationCounts:
    """Evaluate the enrollments of the course that `claim` locks, in one transaction.

    Raise BatchError if the evaluation of one of them fails. Then nothing of the batch is written.
    """
    begun = monotonic()
    counts = _in_one_transaction(course, claim, now=now, health=health)
    if counts.evaluated:
        tally = Tally(batches=1, seconds=monotonic() - begun, **asdict(counts))
        note_evaluations(course, tally, as_of=_clock_of(course, now))
    return counts


def _clock_of(course: Course, now: datetime) -> datetime:
    # A course with a stopped clock is always evaluated as of the end of its simulation.
    return course.clock_stopped_at or now


def _in_one_transaction(
    course: Course, claim: Claim, *, now: datetime, health: FeedHealthOf
) -> EvaluationCounts:
    as_of = _clock_of(course, now)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_SETTINGS)
        ids = claim()
        if not ids:
            return EvaluationCounts()
        is_silent = health(course, now=as_of).status != "ok"
        batch = Batch(course=course, as_of=as_of, enrollment_ids=ids, is_silent=is_silent)
        try:
            counts = _evaluate_claimed(batch, now=now)
            check_references()
            return counts
        except Exception as error:
            # If another transaction holds a row of one enrollment, only that enrollment is delayed.
            if is_outage(error) and not is_held(error):
                raise
            raise BatchError(ids) from error


def _evaluate_claimed(batch: Batch, *, now: datetime) -> EvaluationCounts:
    # From here on, every statement sees all data that was committed before the rows were locked.
    # Signals read in the claiming statement itself would be older than the locks.
    definitions, outcome = decide(read_definitions(batch.course.id), batch)
    for fault in definitions.faults:
        freeze_segment(fault.segment_id, version=fault.version, error=fault.error, now=now)
    is_stopped = batch.course.clock_stopped_at is not None
    push_due(
        list(outcome.due_at),
        [None if is_stopped else at for at in outcome.due_at.values()],
        evaluated_at=batch.as_of,
        rules_revision=definitions.revision,
    )
    return EvaluationCounts(len(outcome.due_at), outcome.entered, outcome.left)


def put_off(failure: BatchError, course: Course, *, now: datetime) -> None:
    """Delay the evaluation of the failed batch's one enrollment, and store the error for staff."""
    cause = failure.__cause__
    error = f"{type(cause).__name__}: {cause}"
    fail_due(failure.enrollment_ids, now=now, error=error)
    tally = Tally(failed=len(failure.enrollment_ids), error=error)
    note_evaluations(course, tally, as_of=_clock_of(course, now))
    note("enrollments put off", type(cause).__name__, count=len(failure.enrollment_ids))
    log.error("Enrollment %s failed", failure.enrollment_ids[0], exc_info=cause)
