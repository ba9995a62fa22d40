"""One batch of claimed enrollments. A rule that fails freezes its segment alone."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from activity.models import Course
from common.clock import local_date
from common.database import is_outage
from segmentation.compiler import Reading, compile_reading, needs_norms
from segmentation.norms import NO_NORMS, NormsValues
from segmentation.operations.changes import Outcome, write_changes
from segmentation.operations.definitions import Definition, Definitions, Fault
from segmentation.operations.norms import ensure_norms

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Whom of a course to evaluate, and as of when. `is_silent`: nobody moves by time alone."""

    course: Course
    as_of: datetime
    enrollment_ids: list[int]
    is_silent: bool = False


def decide(definitions: Definitions, batch: Batch) -> tuple[Definitions, Outcome]:
    """Write who enters and leaves, and return it with the definitions that could be evaluated.

    A segment whose rule fails is moved to the frozen ones, with its fault; the others go on. Raises
    what fails for another reason than a rule.
    """
    try:
        # A savepoint: a statement that fails would otherwise take the claimed rows with it.
        with transaction.atomic():
            return definitions, _write(definitions, batch)
    except Exception as error:
        faults = [] if is_outage(error) else _faults(definitions.active, batch)
        if not faults:
            raise
    return decide(definitions.without(faults), batch)


def _write(definitions: Definitions, batch: Batch) -> Outcome:
    reading = _compile(definitions.active, batch) if definitions.active else None
    return write_changes(
        definitions,
        reading,
        enrollment_ids=batch.enrollment_ids,
        as_of=batch.as_of,
        is_silent=batch.is_silent,
    )


def _faults(active: Sequence[Definition], batch: Batch) -> list[Fault]:
    """Return the segments whose rules fail when each is read alone."""
    return [fault for one in active if (fault := _fault(one, batch))]


def _fault(one: Definition, batch: Batch) -> Fault | None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            reading = _compile([one], batch)
            cursor.execute(reading.sql, reading.params)
            cursor.fetchall()
    except Exception as error:
        if is_outage(error):
            raise
        log.exception("Segment %s failed and is frozen", one.segment_id)
        return Fault(one.segment_id, one.version, f"{type(error).__name__}: {error}")
    return None


def _compile(active: Sequence[Definition], batch: Batch) -> Reading:
    return compile_reading(
        [one.rules for one in active],
        course_id=batch.course.id,
        as_of=batch.as_of,
        enrollment_ids=batch.enrollment_ids,
        norms=_norms(active, batch),
    )


def _norms(active: Sequence[Definition], batch: Batch) -> NormsValues:
    if not any(needs_norms(one.rules.conditions()) for one in active):
        return NO_NORMS
    day = local_date(batch.as_of, batch.course.time_zone)
    return ensure_norms(batch.course.id, day, now=batch.as_of)
