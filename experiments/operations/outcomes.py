"""Record the outcomes of deliveries to assigned enrollments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from experiments.models import DeliveryOutcomeKind

# A hand-off, real or ghost, has happened. No later outcome undoes it.
_FINAL = [DeliveryOutcomeKind.HANDED_OFF.value, DeliveryOutcomeKind.GHOST.value]

_RECORD = """
INSERT INTO experiments_deliveryoutcome AS kept (assignment_id, delivery_key, outcome, reason, at)
SELECT added.assignment_id, added.delivery_key, %(outcome)s, added.reason, %(at)s
FROM unnest(%(assignments)s::bigint[], %(keys)s::uuid[], %(reasons)s::text[])
    AS added (assignment_id, delivery_key, reason)
ON CONFLICT (delivery_key) DO UPDATE
    SET outcome = excluded.outcome, reason = excluded.reason, at = excluded.at
    WHERE kept.outcome <> ALL (%(final)s)
"""


class AssignedDelivery(NamedTuple):
    """A delivery of an assigned enrollment, and the reason for its outcome."""

    assignment_id: int
    delivery_key: UUID
    reason: str


def record_delivery_outcome(
    assignment_id: int, *, delivery_key: UUID, outcome: str, reason: str = "", at: datetime
) -> None:
    """Record the outcome of one delivery, as `record_delivery_outcomes` does for several."""
    record_delivery_outcomes(
        [AssignedDelivery(assignment_id, delivery_key, reason)], outcome=outcome, at=at
    )


def record_delivery_outcomes(
    deliveries: Sequence[AssignedDelivery], *, outcome: str, at: datetime
) -> None:
    """Record the outcomes of deliveries, in the caller's transaction that changes them.

    A later outcome of a delivery replaces the earlier one, but a hand-off, real or ghost, stays.
    Raise ValueError for an unknown outcome.
    """
    known = DeliveryOutcomeKind(outcome).value
    if not deliveries:
        return
    assignments, keys, reasons = (list(column) for column in zip(*deliveries, strict=True))
    values: dict[str, Any] = {
        "assignments": assignments,
        "keys": keys,
        "reasons": reasons,
        "outcome": known,
        "at": at,
        "final": _FINAL,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, values)
