"""What becomes of transitions: processed, put off, or announced for those who are in already."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from activity.operations import lock_due
from common.back_off import OF_A_FAILED_ROW
from common.stored_text import storable_text
from common.tally import note
from segmentation.models import Membership

# Who has an unprocessed entry already is handled anyway.
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
    -- Staff have not let them in yet, or nobody has counted them.
    AND NOT EXISTS (
        SELECT FROM segmentation_waitingentry AS entry
        WHERE entry.enrollment_id = held.enrollment_id AND entry.segment_id = held.segment_id
    )
ORDER BY held.enrollment_id
"""

# One array: of ten thousand placeholders the driver reads each.
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
    """Note that react has handled the transitions. Those handled before stay as they are."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK, {"ids": list(transition_ids), "now": now})


def fail_transitions(transition_ids: Iterable[int], *, now: datetime, error: str) -> None:
    """Put the transitions off: 30 s, then twice as long, up to 1 hour."""
    values: dict[str, Any] = {
        "ids": list(transition_ids),
        "now": now,
        "error": storable_text(error),
    }
    with connection.cursor() as cursor:
        cursor.execute(_FAIL, values)
    # The name of the error alone: its text may hold somebody's address.
    note("transitions put off", error.partition(":")[0], count=len(values["ids"]))


def lock_members(segment_ids: Iterable[int]) -> list[int]:
    """Lock everybody who is in one of the segments, in enrollment order, and return their ids."""
    present = Membership.objects.filter(segment_id__in=list(segment_ids), left_at__isnull=True)
    ids = sorted(set(present.values_list("enrollment_id", flat=True)))
    lock_due(ids)
    return ids


@transaction.atomic
def announce_members(
    segment_id: int, *, now: datetime, among: Collection[int] | None = None
) -> int:
    """Write an entry for everybody who is in the segment, and return how many.

    The entries start runs and draws: an experiment that starts takes its present members in.
    `among` names the enrollments that the transaction has locked already: only they are announced.
    """
    # Under the Due locks: an entry written after somebody's leaving would draw who is not there.
    ids = lock_members([segment_id]) if among is None else list(among)
    with connection.cursor() as cursor:
        cursor.execute(_ANNOUNCE, {"segment_id": segment_id, "ids": ids, "now": now})
        return int(cursor.rowcount)
