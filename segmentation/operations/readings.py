"""Fill `segment_reading` with what the active segments ask about a batch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection, transaction

from activity.models import Course
from common.clock import local_date
from segmentation.compiler import Reading, compile_reading, needs_norms
from segmentation.norms import NO_NORMS, NormsValues
from segmentation.operations.definitions import Definition, Definitions, Fault
from segmentation.operations.norms import ensure_norms

log = logging.getLogger(__name__)

# SQLSTATE classes that say something of the server, not of the rule: connection, rollback,
# resources, locks, an operator's intervention, the system. 54 (limits exceeded) is the rule's.
_OUTAGES = ("08", "40", "53", "55", "57", "58", "XX")

_NOBODY_ASKS = """
SELECT enrollment_id, false AS in_scope, false AS over, NULL::timestamptz AS next_due
FROM unnest(%(ids)s::bigint[]) AS one (enrollment_id)
"""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Whom of a course to read, and as of when."""

    course: Course
    as_of: datetime
    enrollment_ids: list[int]


def is_outage(error: DatabaseError) -> bool:
    """Return whether the server failed, and not the work: trying another part would not help."""
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(_OUTAGES)


def fill_reading(definitions: Definitions, batch: Batch) -> tuple[Definitions, Reading | None]:
    """Create `segment_reading` for the batch and return what could be read.

    A segment whose rule fails is moved to the frozen ones, with its fault; the others go on.
    """
    if not definitions.active:
        _create(_NOBODY_ASKS, {"ids": batch.enrollment_ids})
        return definitions, None
    try:
        return definitions, _fill(definitions.active, batch)
    except Exception as error:
        _raise_outage(error)
        log.exception("The segments of course %s could not be read together", batch.course.key)
    # Each alone tells which one it is. Then the rest together once more: they share one pass.
    faults = [fault for one in definitions.active if (fault := _fault_of(one, batch))]
    if not faults:
        raise RuntimeError("The segments fail together but none of them alone.")
    return fill_reading(definitions.without(faults), batch)


def _fault_of(one: Definition, batch: Batch) -> Fault | None:
    try:
        _fill([one], batch)
    except Exception as error:
        _raise_outage(error)
        log.exception("Segment %s failed and is frozen", one.segment_id)
        return Fault(one.segment_id, one.version, f"{type(error).__name__}: {error}")
    return None


def _raise_outage(error: Exception) -> None:
    if isinstance(error, DatabaseError) and is_outage(error):
        raise error


def _fill(active: Sequence[Definition], batch: Batch) -> Reading:
    reading = compile_reading(
        [one.rules for one in active],
        course_id=batch.course.id,
        as_of=batch.as_of,
        enrollment_ids=batch.enrollment_ids,
        norms=_norms(active, batch),
    )
    # A savepoint: a statement that fails would otherwise take the claimed rows with it.
    with transaction.atomic():
        _create(reading.sql, reading.params)
    return reading


def _norms(active: Sequence[Definition], batch: Batch) -> NormsValues:
    if not any(needs_norms(one.rules.conditions()) for one in active):
        return NO_NORMS
    day = local_date(batch.as_of, batch.course.time_zone)
    return ensure_norms(batch.course.id, day, now=batch.as_of)


def _create(sql: str, params: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.segment_reading")
        cursor.execute(f"CREATE TEMPORARY TABLE segment_reading ON COMMIT DROP AS {sql}", params)
