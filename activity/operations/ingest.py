"""The one way into the event log: a batch of canonical events, and what follows from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from activity.canonical import CanonicalEvent, Refused, read_event
from activity.models import RejectedEvent
from activity.operations.binary import fetch_binary
from activity.operations.due import note_late, pull_due
from activity.operations.keys import EventRow, look_up
from activity.operations.read_models import merge_daily_activity, merge_progress
from activity.operations.rejected import Refusal, keep_rejected

REPLAY_LIMIT = 1_000

# One statement, one round trip: what the insert returns is new, and only that is merged, so a
# repeated event counts once. Sorted by its unique key, so that two batches with the same events in
# opposite order wait for each other instead of dying in a deadlock.
_STORE = f"""
WITH fresh AS (
    INSERT INTO activity_event (enrollment_id, item_id, verb, occurred_at, count, score, passed,
        value, properties, source, source_id, received_at)
    SELECT sent.*, %(now)b
    FROM unnest(%(enrollment_id)b::bigint[], %(item_id)b::bigint[], %(verb)b::text[],
        %(occurred_at)b::timestamptz[], %(total)b::int[], %(score)b::numeric[],
        %(passed)b::bool[], %(value)b::numeric[], %(properties)b::jsonb[], %(source)b::text[],
        %(source_id)b::text[]) AS sent (enrollment_id, item_id, verb, occurred_at, count, score,
        passed, value, properties, source, source_id)
    ORDER BY sent.source, sent.source_id
    ON CONFLICT (source, source_id) DO NOTHING
    RETURNING *
), daily AS (
    {merge_daily_activity("fresh")}
), progress AS (
    {merge_progress("fresh")}
), latest AS (
    UPDATE activity_enrollment AS enrollment
    SET last_event_at = GREATEST(enrollment.last_event_at, newest.occurred_at)
    FROM (
        SELECT enrollment_id, max(occurred_at) AS occurred_at FROM fresh GROUP BY enrollment_id
    ) AS newest
    WHERE enrollment.id = newest.enrollment_id
)
SELECT count(*) FROM fresh
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event of the batch that was not stored: its place, its reason, a sentence for staff."""

    index: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of a batch. `repeated` events were already there, or twice in the batch."""

    stored: int
    repeated: int
    rejected: list[Rejection]


def ingest(events: Sequence[Mapping[str, Any]], *, now: datetime) -> IngestResult:
    """Store a batch of canonical events and bring everything that follows from them up to date.

    All or nothing in one transaction, or in the caller's. An event that cannot be stored is kept
    as RejectedEvent with its reason, and the others land; one that is already there counts once.
    The enrollments concerned are due for evaluation at `now`. About 1,000 events are a good batch.
    """
    refusals: list[Refusal] = []
    with transaction.atomic():
        typed = list(_readable(events, refusals, now=now))
        rows = list(_resolvable(typed, events, refusals))
        keep_rejected(refusals, now=now)
        stored = _store(rows, now=now) if rows else 0
    refusals.sort(key=lambda refusal: refusal.index)
    return IngestResult(
        stored=stored,
        repeated=len(rows) - stored,
        rejected=[Rejection(r.index, str(r.refused.reason), r.refused.message) for r in refusals],
    )


def replay_rejected(*, now: datetime, ids: Iterable[int] | None = None) -> IngestResult:
    """Ingest kept events again: those of the ids, else the early ones whose instant has come.

    At most 1,000 at a time. The result's indexes count in the order of the ids.
    """
    waiting = RejectedEvent.objects.filter(replayed_at__isnull=True).order_by("pk")
    chosen = waiting.filter(replay_at__lte=now) if ids is None else waiting.filter(pk__in=list(ids))
    with transaction.atomic():
        # Whoever else replays these at the moment will do; skipping them keeps the stages moving.
        locked = chosen.select_for_update(no_key=True, skip_locked=True)[:REPLAY_LIMIT]
        rows = list(locked)
        result = ingest([row.payload for row in rows], now=now)
        refused = {rejection.index for rejection in result.rejected}
        landed = [row.pk for index, row in enumerate(rows) if index not in refused]
        RejectedEvent.objects.filter(pk__in=landed).update(replayed_at=now)
    return result


def _readable(
    events: Sequence[object], refusals: list[Refusal], *, now: datetime
) -> Iterable[tuple[int, CanonicalEvent]]:
    for index, raw in enumerate(events):
        try:
            yield index, read_event(raw, now=now)
        except Refused as refused:
            refusals.append(Refusal(index, raw, refused))


def _resolvable(
    typed: Sequence[tuple[int, CanonicalEvent]],
    events: Sequence[object],
    refusals: list[Refusal],
) -> Iterable[EventRow]:
    keys = look_up([event for _, event in typed])
    for index, event in typed:
        try:
            yield keys.resolve(event)
        except Refused as refused:
            refusals.append(Refusal(index, events[index], refused))


def _store(rows: Sequence[EventRow], *, now: datetime) -> int:
    pull_due({row.enrollment_id for row in rows}, at=now)
    note_late(_oldest(rows), now=now)
    columns = zip(*rows, strict=True)
    values: dict[str, Any] = dict(zip(EventRow._fields, map(list, columns), strict=True))
    ((stored,),) = fetch_binary(_STORE, {**values, "now": now})
    return int(stored)


def _oldest(rows: Iterable[EventRow]) -> dict[int, datetime]:
    """Return when the first of each enrollment's events occurred."""
    oldest: dict[int, datetime] = {}
    for row in rows:
        known = oldest.get(row.enrollment_id, row.occurred_at)
        oldest[row.enrollment_id] = min(known, row.occurred_at)
    return oldest
