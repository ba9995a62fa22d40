"""Mark transitions as processed, delay failed ones, and write entries for present members."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from activity.operations import lock_due
from common.back_off import OF_A_FAILED_ROW
from common.stored_text import storable_text
from common.tally import note
from segmentation.models import Membership

# Members with an unprocessed entry are skipped, because react handles that entry anyway.
_ANNOUNCE = """
INSERT INTO segmentation_transition (enrollment_id, segment_id, kind, cause, starts, version,
    occurred_at, attempts, next_attempt_at, error)
SELECT held.enrollment_id, held.segment_id, 'enter', 'baseline', true, held.version,
    GREATEST(%(now)s, held.entered_at), 0, %(now)s, ''
FROM segmentation_membership AS held
WHERE held.segment_id = %(segment_id)s AND held.left_at IS NULL
    AND held.enrollment_id = ANY(%(ids)s)
    AND NOT EXISTS (
        SELECT FROM segmentation_transition AS waiting
        WHERE waiting.enrollment_id = held.enrollment_id AND waiting.segment_id = held.segment_id
            AND waiting.processed_at IS NULL AND waiting.starts AND waiting.kind = 'enter'
    )
    -- These entries are not counted yet, or wait for a decision of staff.
    AND NOT EXISTS (
        SELECT FROM segmentation_waitingentry AS entry
        WHERE entry.enrollment_id = held.enrollment_id AND entry.segment_id = held.segment_id
    )
ORDER BY held.enrollment_id
"""

# One array parameter, because the driver parses every placeholder of a list of ten thousand.
_MARK = """
UPDATE segmentation_transition SET processed_at = %(now)s, error = ''
WHERE id = ANY(%(ids)s) AND processed_at IS NULL
"""

_FAIL = f"""
UPDATE segmentation_transition
SET attempts = LEAST(attempts + 1, 32767), error = %(error)s,
    next_attempt_at = %(now)s + {OF_A_FAILED_ROW.sql("attempts")}
WHERE id = ANY(%(ids)s) AND processed_at IS NULL
"""  # noqa: S608


def mark_processed(transition_ids: Iterable[int], *, now: datetime) -> None:
    """Mark the transitions as processed by react. Processed ones are not changed."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK, {"ids": list(transition_ids), "now": now})


def fail_transitions(transition_ids: Iterable[int], *, now: datetime, error: str) -> None:
    """Delay the transitions: 30 s, then twice as long, up to 1 hour."""
    values: dict[str, Any] = {
        "ids": list(transition_ids),
        "now": now,
        "error": storable_text(error),
    }
    with connection.cursor() as cursor:
        cursor.execute(_FAIL, values)
    # Only the name of the error, because its text may contain a learner's address.
    note("transitions put off", error.partition(":")[0], count=len(values["ids"]))


def lock_members(segment_ids: Iterable[int]) -> list[int]:
    """Lock the members of the segments in enrollment order, and return their enrollment ids."""
    present = Membership.objects.filter(segment_id__in=list(segment_ids), left_at__isnull=True)
    ids = sorted(set(present.values_list("enrollment_id", flat=True)))
    lock_due(ids)
    return ids


@transaction.atomic
def announce_members(
    segment_id: int, *, now: datetime, among: Collection[int] | None = None
) -> int:
    """Write an entry for every present member of the segment, and return their number.

    The entries start runs and draws. An experiment uses this at its start to include present
    members. `among` names enrollments that the transaction has locked already; then only these are
    included.
    """
    # Under the Due locks, so that no entry is written for a member who has just left.
    ids = lock_members([segment_id]) if among is None else list(among)
    with connection.cursor() as cursor:
        cursor.execute(_ANNOUNCE, {"segment_id": segment_id, "ids": ids, "now": now})
        return int(cursor.rowcount)
