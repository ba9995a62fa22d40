"""Store a batch of canonical events and update everything that depends on them.

All events except Nudgelab's own enter the log here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from activity.canonical import CanonicalEvent, Reason, Refused, read_event
from activity.models import RejectedEvent
from activity.operations.binary import fetch_binary
from activity.operations.due import note_late, pull_due
from activity.operations.keys import EventRow, log_columns, look_up, sent_arrays
from activity.operations.noes import keep_noes
from activity.operations.past import keep_past_changes
from activity.operations.rejected import Refusal, keep_rejected
from activity.operations.repeats import Repeats, Sent, apply_repeats
from activity.read_models import merge_daily_activity, merge_progress

REPLAY_LIMIT = 1_000

# One statement, one round trip. Only the rows that the insert returns are new and are merged, so a
# repeated event counts once. The rows are sorted by their unique key, so that two batches with the
# same events in opposite order wait for each other and do not deadlock.
_COLUMNS = ", ".join(log_columns(EventRow._fields))
_STORE = f"""
WITH fresh AS (
    INSERT INTO activity_event ({_COLUMNS}, received_at)
    SELECT sent.*, %(now)b
    FROM unnest({sent_arrays(EventRow._fields)}) AS sent ({_COLUMNS})
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
), noes AS (
    {keep_noes("fresh")}
), past AS (
    {keep_past_changes("fresh")}
)
SELECT count(*) FROM fresh
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Rejection:
    """A sentence about one event of the batch, and the event's place in it."""

    index: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The result of a batch. `repeated` events were stored already, or are twice in the batch.

    `graded` counts the repeated events that added a missing score. `remarks` are about events that
    count nevertheless: a score that was cut, or a repeat with other content (a conflict).
    """

    stored: int
    repeated: int
    rejected: list[Rejection]
    graded: int = 0
    remarks: list[Rejection] = field(default_factory=list)


def ingest(events: Sequence[Mapping[str, Any]], *, now: datetime) -> IngestResult:
    """Store a batch of canonical events and update everything that depends on them.

    The function works in one transaction of its own, or in the caller's. An event that cannot be
    stored is kept as RejectedEvent with its reason, and the others are stored. A repeated event
    counts once: a grade that it adds is applied, and other content is kept for staff as a conflict.
    The affected enrollments become due at `now`. About 1,000 events are a good batch size.
    """
    refusals: list[Refusal] = []
    with transaction.atomic():
        typed = list(_readable(events, refusals, now=now))
        sent = list(_resolvable(typed, events, refusals))
        keep_rejected(refusals, now=now)
        stored = _store([each.row for each in sent], now=now) if sent else 0
        # Stored events are read only if the batch has repeats.
        repeats = apply_repeats(sent, now=now) if stored < len(sent) else Repeats()
    return IngestResult(
        stored=stored,
        repeated=len(sent) - stored,
        rejected=_in_order(refusals),
        graded=repeats.graded,
        remarks=_in_order([*repeats.conflicts, *_cut_scores(sent)]),
    )


def replay_rejected(*, now: datetime, ids: Iterable[int] | None = None) -> IngestResult:
    """Ingest rejected events again: those of `ids`, or the early ones whose instant has come.

    At most 1,000 events are replayed at a time. The indexes in the result follow the order of ids.
    """
    waiting = RejectedEvent.objects.filter(replayed_at__isnull=True).order_by("pk")
    chosen = waiting.filter(replay_at__lte=now) if ids is None else waiting.filter(pk__in=list(ids))
    with transaction.atomic():
        # Skip events that another process is replaying, so that the stages do not wait.
        locked = chosen.select_for_update(no_key=True, skip_locked=True)[:REPLAY_LIMIT]
        rows = list(locked)
        result = ingest([row.payload for row in rows], now=now)
        conflicts = [each for each in result.remarks if each.reason == Reason.CONFLICT]
        refused = {each.index for each in (*result.rejected, *conflicts)}
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
) -> Iterable[Sent]:
    keys = look_up([event for _, event in typed])
    for index, event in typed:
        try:
            yield Sent(index, events[index], event, keys.resolve(event))
        except Refused as refused:
            refusals.append(Refusal(index, events[index], refused))


def _cut_scores(sent: Iterable[Sent]) -> Iterable[Refusal]:
    for each in sent:
        if each.row.sent_score is not None:
            message = f"score {each.row.sent_score:g} is outside 0 to 1 and counts as"
            message += f" {each.row.score:.0f}."
            yield Refusal(each.place, each.raw, Refused(Reason.BAD_SCORE, message))


def _in_order(refusals: Iterable[Refusal]) -> list[Rejection]:
    ordered = sorted(refusals, key=lambda refusal: refusal.index)
    return [Rejection(r.index, str(r.refused.reason), r.refused.message) for r in ordered]


def _store(rows: Sequence[EventRow], *, now: datetime) -> int:
    pull_due({row.enrollment_id for row in rows}, at=now)
    note_late(_oldest(rows), now=now)
    columns = zip(*rows, strict=True)
    values: dict[str, Any] = dict(zip(EventRow._fields, map(list, columns), strict=True))
    ((stored,),) = fetch_binary(_STORE, {**values, "now": now})
    return int(stored)


def _oldest(rows: Iterable[EventRow]) -> dict[int, datetime]:
    """Return when each enrollment's earliest event occurred."""
    oldest: dict[int, datetime] = {}
    for row in rows:
        known = oldest.get(row.enrollment_id, row.occurred_at)
        oldest[row.enrollment_id] = min(known, row.occurred_at)
    return oldest
