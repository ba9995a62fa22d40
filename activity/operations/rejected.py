"""Keep events that could not be stored, for staff and for a later replay."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from activity.canonical import Refused
from activity.payloads import digest, storable
from common.tally import note

# The same refused event sent again stays one row, with the newest reason and content.
_KEEP = """
INSERT INTO activity_rejectedevent AS kept
    (digest, reason, message, payload, replay_at, received_at)
SELECT fresh.*, %(now)s
FROM unnest(%(digests)s::text[], %(reasons)s::text[], %(messages)s::text[], %(payloads)s::jsonb[],
    %(replay_ats)s::timestamptz[]) AS fresh (digest, reason, message, payload, replay_at)
ORDER BY digest
ON CONFLICT (digest) WHERE replayed_at IS NULL DO UPDATE
SET reason = excluded.reason, message = excluded.message, payload = excluded.payload,
    replay_at = excluded.replay_at
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused event: its place in the batch, its content, and why it was refused.

    Refusals with equal content, or with equal `same_as` if it is given, are stored as one row. So a
    producer that repeats an event, each time with another time, is listed once.
    """

    index: int
    raw: object
    refused: Refused
    same_as: tuple[str, ...] | None = None


def keep_rejected(refusals: Iterable[Refusal], *, now: datetime) -> None:
    """Store each refused event once, for staff and for a later replay."""
    rows = {}
    for refusal in refusals:
        payload = storable(refusal.raw)
        rows[digest(refusal.same_as or payload)] = (payload, refusal.refused)
    if not rows:
        return
    values: dict[str, Any] = {
        "now": now,
        "digests": list(rows),
        "reasons": [str(refused.reason) for _, refused in rows.values()],
        "messages": [refused.message for _, refused in rows.values()],
        "payloads": [json.dumps(payload) for payload, _ in rows.values()],
        "replay_ats": [refused.replay_at for _, refused in rows.values()],
    }
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, values)
    for reason in values["reasons"]:
        note("events rejected", reason)
