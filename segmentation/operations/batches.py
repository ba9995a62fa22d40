"""Evaluate one batch of courses with the same segments. A failing rule freezes only its segment."""

import logging
from collections.abc import Sequence

from django.db import connection, transaction

from common.database import is_outage
from segmentation.operations.attribution import attribute
from segmentation.operations.changes import Outcome, write_changes
from segmentation.operations.definitions import Definition, Definitions, Fault
from segmentation.operations.differences import Batch, compile_batch

log = logging.getLogger(__name__)


def decide(definitions: Definitions, batch: Batch) -> tuple[Definitions, dict[int, Outcome]]:
    """Write entries and leavings. Return the definitions that were evaluated, and the outcomes.

    A segment whose rule fails becomes frozen, with its fault. The other segments are evaluated.
    Raise errors that have another reason than a rule.
    """
    try:
        # A savepoint, because a failing statement would otherwise lose the claims.
        with transaction.atomic():
            return definitions, _write(definitions, batch)
    except Exception as error:
        faults = [] if is_outage(error) else _faults(definitions.active, batch)
        if not faults:
            raise
    return decide(definitions.without(faults), batch)


def _write(definitions: Definitions, batch: Batch) -> dict[int, Outcome]:
    return write_changes(definitions, batch, attribute(definitions, batch))


def _faults(active: Sequence[Definition], batch: Batch) -> list[Fault]:
    """Return the segments whose rules fail when each is read alone."""
    return [fault for one in active if (fault := _fault(one, batch))]


def _fault(one: Definition, batch: Batch) -> Fault | None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            reading = compile_batch([one], batch)
            if reading is not None:
                cursor.execute(reading.sql, reading.params)
                cursor.fetchall()
    except Exception as error:
        if is_outage(error):
            raise
        log.exception("Segment %s failed and is frozen", one.segment_id)
        return Fault(one.segment_id, one.version, f"{type(error).__name__}: {error}")
    return None
