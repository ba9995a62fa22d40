"""Evaluate enrollments of a course, a batch a transaction."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from activity.models import Course
from activity.operations import fail_due, push_due
from activity.queries import FeedHealth
from common.database import check_references, is_held, is_outage
from common.tally import note
from segmentation.operations.batches import decide
from segmentation.operations.definitions import read_definitions
from segmentation.operations.differences import Batch
from segmentation.operations.segments import freeze_segment

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


def put_off(failure: BatchError, *, now: datetime) -> None:
    """Have the one enrollment of the failed batch evaluated later, and show staff why."""
    cause = failure.__cause__
    fail_due(failure.enrollment_ids, now=now, error=f"{type(cause).__name__}: {cause}")
    note("enrollments put off", type(cause).__name__, count=len(failure.enrollment_ids))
    log.error("Enrollment %s failed", failure.enrollment_ids[0], exc_info=cause)
