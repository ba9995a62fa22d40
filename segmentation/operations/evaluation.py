"""Evaluate enrollments of any number of courses, one batch per transaction."""

import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from time import monotonic

from django.db import connection, transaction

from activity.models import Course
from activity.operations import fail_due, push_due
from activity.queries import FeedHealth
from common.database import check_references, is_held, is_outage
from common.tally import note
from segmentation.operations.batches import decide
from segmentation.operations.changes import Outcome
from segmentation.operations.definitions import Definitions, definitions_by_courses
from segmentation.operations.differences import Batch, Part, norms_needed_by
from segmentation.operations.evaluation_days import Tally, clock_of, note_evaluations
from segmentation.operations.norms import store_norms
from segmentation.operations.segments import freeze_segment
from segmentation.queries import courses_with_norms

log = logging.getLogger(__name__)

FeedHealthOf = Callable[..., FeedHealth]
# The enrollments to evaluate by course.
Work = Mapping[Course, Sequence[int]]
# A function that locks Due rows of these enrollments and returns the ids of those that it got.
Claim = Callable[[Sequence[int]], list[int]]
# A batch that fails is tried again in so many parts.
_PARTS = 8

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

    def __init__(self, work: Work) -> None:
        super().__init__(f"{sum(map(len, work.values()))} enrollments could not be evaluated")
        self.work = work


class _MissingNormsError(Exception):
    """Courses lack the norms of their day."""

    def __init__(self, days: Mapping[int, date], names: Sequence[str]) -> None:
        super().__init__(f"norms are missing: {days}")
        self.days, self.names = days, names


def evaluate_batch(
    work: Work, claim: Claim, *, now: datetime, health: FeedHealthOf
) -> EvaluationCounts:
    """Evaluate those of the enrollments that `claim` locks, in one transaction.

    Raise BatchError if the evaluation of one of them fails. Then nothing of the batch is written.
    """
    begun = monotonic()
    try:
        outcomes = _in_one_transaction(work, claim, now=now, health=health)
    except _MissingNormsError as missing:
        # Before anything is locked: another worker would otherwise wait for this whole batch.
        store_norms(missing.days, missing.names, now=now)
        outcomes = _in_one_transaction(work, claim, now=now, health=health, is_again=True)
    counts = {
        course: EvaluationCounts(len(one.due_at), one.entered, one.left)
        for course, one in outcomes.items()
    }
    note_evaluations(_tallies(counts, monotonic() - begun), now=now)
    return sum(counts.values(), EvaluationCounts())


def _tallies(counts: Mapping[Course, EvaluationCounts], seconds: float) -> dict[Course, Tally]:
    evaluated = sum(each.evaluated for each in counts.values())
    return {
        course: Tally(batches=1, seconds=seconds * each.evaluated / evaluated, **vars(each))
        for course, each in counts.items()
        if each.evaluated
    }


def _in_one_transaction(
    work: Work, claim: Claim, *, now: datetime, health: FeedHealthOf, is_again: bool = False
) -> dict[Course, Outcome]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_SETTINGS)
        claimed = _claimed(work, claim)
        if not claimed:
            return {}
        parts = [
            Part(
                course=course,
                enrollment_ids=ids,
                is_silent=health(course, now=clock_of(course, now)).status != "ok",
            )
            for course, ids in claimed.items()
        ]
        try:
            outcomes = _evaluate_claimed(parts, now=now, is_again=is_again)
            check_references()
            return outcomes
        except _MissingNormsError:
            raise
        except Exception as error:
            # If another transaction holds a row of one enrollment, only that enrollment is delayed.
            if is_outage(error) and not is_held(error):
                raise
            raise BatchError(claimed) from error


def _claimed(work: Work, claim: Claim) -> dict[Course, list[int]]:
    claimed = set(claim([pk for ids in work.values() for pk in ids]))
    kept = {course: sorted(claimed.intersection(ids)) for course, ids in work.items()}
    return {course: ids for course, ids in kept.items() if ids}


def _evaluate_claimed(
    parts: Sequence[Part], *, now: datetime, is_again: bool
) -> dict[Course, Outcome]:
    # From here on, every statement sees all data that was committed before the rows were locked.
    # Signals read in the claiming statement itself would be older than the locks.
    by_course = {part.course.pk: part for part in parts}
    outcomes: dict[Course, Outcome] = {}
    for course_ids, definitions in definitions_by_courses(by_course):
        for batch in _batches([by_course[course_id] for course_id in course_ids], now):
            if not is_again:
                _require_norms(definitions, batch)
            found = _evaluate(definitions, batch, now=now)
            outcomes |= {part.course: found[part.course.pk] for part in batch.parts}
    return outcomes


def _require_norms(definitions: Definitions, batch: Batch) -> None:
    names = norms_needed_by(definitions.active)
    if names:
        missing = batch.days.keys() - courses_with_norms(batch.days, names)
        if missing:
            raise _MissingNormsError({pk: batch.days[pk] for pk in missing}, names)


def _batches(parts: Sequence[Part], now: datetime) -> Iterator[Batch]:
    """Yield the parts as batches of one instant each."""
    instants: dict[datetime, list[Part]] = {}
    for part in parts:
        instants.setdefault(clock_of(part.course, now), []).append(part)
    for as_of, together in instants.items():
        yield Batch(parts=together, as_of=as_of)


def _evaluate(definitions: Definitions, batch: Batch, *, now: datetime) -> dict[int, Outcome]:
    definitions, outcomes = decide(definitions, batch)
    for fault in definitions.faults:
        freeze_segment(fault.segment_id, version=fault.version, error=fault.error, now=now)
    due_at = {
        enrollment_id: None if part.course.clock_stopped_at is not None else at
        for part in batch.parts
        for enrollment_id, at in outcomes[part.course.pk].due_at.items()
    }
    push_due(
        list(due_at),
        list(due_at.values()),
        evaluated_at=batch.as_of,
        rules_revision=definitions.revision,
    )
    return outcomes


def divided(failure: BatchError, *, now: datetime) -> list[Work]:
    """Return the parts in which the failed batch is to be tried again.

    A single enrollment is delayed, with the error for staff.
    """
    pairs = [(course, pk) for course, ids in failure.work.items() for pk in ids]
    if len(pairs) == 1:
        _put_off(failure, *pairs[0], now=now)
        return []
    size = math.ceil(len(pairs) / _PARTS)
    return [_together(pairs[start : start + size]) for start in range(0, len(pairs), size)]


def _together(pairs: Collection[tuple[Course, int]]) -> Work:
    work: dict[Course, list[int]] = {}
    for course, pk in pairs:
        work.setdefault(course, []).append(pk)
    return work


def _put_off(failure: BatchError, course: Course, enrollment_id: int, *, now: datetime) -> None:
    cause = failure.__cause__
    error = f"{type(cause).__name__}: {cause}"
    fail_due([enrollment_id], now=now, error=error)
    note_evaluations({course: Tally(failed=1, error=error)}, now=now)
    note("enrollments put off", type(cause).__name__)
    log.error("Enrollment %s failed", enrollment_id, exc_info=cause)
