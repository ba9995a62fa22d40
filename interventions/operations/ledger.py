"""The only code that moves a delivery: it writes state and trace, and informs the experiment."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from common.database import preparing_cursor
from common.json_text import as_rows
from common.tally import count_reason, note
from experiments.operations import AssignedDelivery, record_delivery_outcomes
from interventions.models import COUNTED_STATES, Delivery, DeliveryState

# The row of a message that is deferred for weeks must not grow without limit.
MAX_TRACE = 50

_OUTCOMES = {
    DeliveryState.PLANNED: "deferred",
    DeliveryState.HANDED_OFF: "handed_off",
    DeliveryState.GHOST: "ghost",
    DeliveryState.DROPPED: "dropped",
    DeliveryState.EXPIRED: "expired",
    DeliveryState.FAILED: "failed",
    DeliveryState.IN_DOUBT: "in_doubt",
}
_FINISHED = frozenset(
    {
        DeliveryState.HANDED_OFF,
        DeliveryState.GHOST,
        DeliveryState.DROPPED,
        DeliveryState.EXPIRED,
        DeliveryState.FAILED,
    }
)


# The states that the loop's log reports to staff. Normal decisions of the policy are not reported.
_TROUBLES = {
    DeliveryState.FAILED: "failed",
    DeliveryState.EXPIRED: "expired",
    DeliveryState.IN_DOUBT: "in doubt",
}
_TROUBLING_DELAYS = frozenset({"channel_down", "not_accepted", "error", "lease_too_short"})

# These states claim that the learner has no copy, so they are wrong for a delivery that was in
# doubt.
_UNSENT = frozenset({DeliveryState.DROPPED, DeliveryState.EXPIRED, DeliveryState.FAILED})

# The columns that a move writes, with their types. Those that it does not change are written as
# they were, which the conditions on state and token allow.
_TYPES = {
    "state": "text",
    "reason": "text",
    "send_at": "timestamptz",
    "claimed_at": "timestamptz",
    "lease_until": "timestamptz",
    "token": "uuid",
    "finished_at": "timestamptz",
    "attempts": "smallint",
    "doubted": "boolean",
    "message_id": "text",
    "address": "text",
    "template_text_id": "bigint",
    "provider_id": "text",
    "trace": "jsonb",
}
_MOVE = f"""
UPDATE interventions_delivery AS delivery
SET {", ".join(f"{name} = new.{name}" for name in _TYPES)}
FROM jsonb_to_recordset(%(rows)s::jsonb) AS new (id bigint, was text, held uuid,
    {", ".join(f"{name} {kind}" for name, kind in _TYPES.items())})
WHERE delivery.id = new.id AND delivery.state = new.was
    AND delivery.token IS NOT DISTINCT FROM new.held
RETURNING delivery.id
"""  # noqa: S608

# The same as `move`, for many deliveries at once. For a short trace, "last - 48" is its first entry
# (jsonpath in lax mode).
_DROP = """
WITH gone AS (
    SELECT * FROM unnest(%(runs)s::bigint[], %(reasons)s::text[]) AS one (run_id, reason)
), locked AS (
    SELECT delivery.id FROM interventions_delivery AS delivery
    WHERE delivery.run_id = ANY(%(runs)s::bigint[]) AND delivery.state = 'planned'
    ORDER BY delivery.id
    FOR NO KEY UPDATE
), dropped AS (
    UPDATE interventions_delivery AS delivery
    SET state = CASE WHEN doubted THEN 'in_doubt' ELSE 'dropped' END, reason = gone.reason,
        claimed_at = CASE WHEN doubted THEN COALESCE(claimed_at, %(now)s) END,
        lease_until = NULL,
        finished_at = GREATEST(%(now)s, COALESCE(claimed_at, planned_at)),
        trace = jsonb_path_query_array(trace, %(kept)s) || jsonb_build_object(
            'at', %(at)s::text, 'state', CASE WHEN doubted THEN 'in_doubt' ELSE 'dropped' END,
            'reason', gone.reason
        )
    FROM locked, gone
    WHERE delivery.id = locked.id AND gone.run_id = delivery.run_id
    RETURNING delivery.id, delivery.key, delivery.run_id, delivery.doubted, gone.reason
)
SELECT run.assignment_id, dropped.key, dropped.reason
FROM dropped JOIN interventions_run AS run ON run.id = dropped.run_id
WHERE run.assignment_id IS NOT NULL AND NOT dropped.doubted
ORDER BY dropped.id
"""


@dataclass(frozen=True)
class Move:
    """The new state of a delivery, and why. `until` is the new send_at of a postponed delivery."""

    state: DeliveryState
    reason: str = ""
    detail: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class Change:
    """A move of a delivery, and other fields to write with it."""

    delivery: Delivery
    to: Move
    fields: Mapping[str, Any] = field(default_factory=dict)


def move(delivery: Delivery, to: Move, *, now: datetime, **fields: Any) -> bool:
    """Write the move of a delivery, and `fields` with it. Return False if it moved meanwhile."""
    return bool(move_all([Change(delivery, to, fields)], now=now))


@transaction.atomic(savepoint=False)
def move_all(changes: Sequence[Change], *, now: datetime) -> list[Delivery]:
    """Write the moves of deliveries in one statement. Return those that had not moved meanwhile.

    No lock on the rows is needed: the update writes nothing if a row has another state or another
    claim than its delivery.

    The run of each delivery must be loaded. The outcome is recorded for the experiment of an
    assigned enrollment in the same transaction, except if the message is only postponed again for
    the same reason.

    A delivery that was in doubt before and is not sent again ends in doubt.
    """
    written = [_written(change, now) for change in changes]
    moved = _write(written)
    told: dict[str, list[AssignedDelivery]] = defaultdict(list)
    for each in written:
        if each.delivery.pk in moved:
            _apply(each)
            outcome, assignment_id = _outcome(each), each.delivery.run.assignment_id
            if outcome is not None and assignment_id is not None:
                reason = each.to.reason
                told[outcome].append(AssignedDelivery(assignment_id, each.delivery.key, reason))
    for outcome, deliveries in sorted(told.items()):
        record_delivery_outcomes(deliveries, outcome=outcome, at=now)
    return [each.delivery for each in written if each.delivery.pk in moved]


@dataclass(frozen=True)
class _Written:
    """A move with all values that it writes."""

    delivery: Delivery
    to: Move
    values: Mapping[str, Any]
    is_news: bool


def _written(change: Change, now: datetime) -> _Written:
    delivery, to = change.delivery, change.to
    instants = _instants(delivery, to, now)
    values: dict[str, Any] = {"doubted": delivery.doubted, **instants, **change.fields}
    if values["doubted"] and to.state in _UNSENT:
        to = replace(to, state=DeliveryState.IN_DOUBT)
    trace = _traced(delivery.trace, to, now)
    if unknown := values.keys() - _TYPES.keys():
        raise ValueError(f"A move does not write {', '.join(sorted(unknown))}.")
    values |= {"state": str(to.state), "reason": to.reason, "trace": trace}
    is_news = (delivery.state, delivery.reason) != (to.state, to.reason)
    return _Written(delivery, to, values, is_news)


def _write(written: Sequence[_Written]) -> set[int]:
    """Update the rows that have not moved, and return their ids."""
    rows = [_row(each) for each in sorted(written, key=lambda each: each.delivery.pk)]
    with preparing_cursor() as cursor:
        cursor.execute(_MOVE, {"rows": as_rows(rows)})
        return {pk for (pk,) in cursor.fetchall()}


def _row(written: _Written) -> dict[str, Any]:
    delivery, values = written.delivery, written.values
    row = {name: values.get(name, getattr(delivery, name)) for name in _TYPES}
    return row | {"id": delivery.pk, "was": str(delivery.state), "held": delivery.token}


def _apply(written: _Written) -> None:
    for name, value in written.values.items():
        setattr(written.delivery, name, value)
    _note(written.to)


def _note(to: Move) -> None:
    if to.reason:
        count_reason(_OUTCOMES.get(to.state, str(to.state)), to.reason)
    if to.state in _TROUBLES:
        note(_TROUBLES[to.state], to.reason or "no answer")
    elif to.state == DeliveryState.PLANNED and to.reason in _TROUBLING_DELAYS:
        note("put off", to.reason)


def _outcome(written: _Written) -> str | None:
    """Return the outcome to record for the experiment, or None if the move is no news."""
    to = written.to
    # The doubt was recorded before. It stays, whether another copy waits or is never sent.
    stays = written.values["doubted"] and to.state in (
        DeliveryState.PLANNED,
        DeliveryState.IN_DOUBT,
    )
    return None if stays or not written.is_news else _OUTCOMES.get(to.state)


def drop_planned(reasons: Mapping[int, str], *, now: datetime) -> None:
    """Drop the planned deliveries of the runs, given as reason by run id. The runs must be locked.

    A delivery that was in doubt before ends in doubt. Deliveries are locked in the order of their
    ids. Outcomes are recorded for experiments as in `move`.
    """
    values: dict[str, Any] = {
        "runs": list(reasons),
        "reasons": list(reasons.values()),
        "now": now,
        "at": now.isoformat(),
        "kept": f"$[last - {MAX_TRACE - 2} to last]",
    }
    with connection.cursor() as cursor:
        cursor.execute(_DROP, values)
        dropped = [
            AssignedDelivery(assignment, key, reason)
            for assignment, key, reason in cursor.fetchall()
        ]
    record_delivery_outcomes(dropped, outcome=_OUTCOMES[DeliveryState.DROPPED], at=now)


def _instants(delivery: Delivery, to: Move, now: datetime) -> dict[str, Any]:
    """Return the instants that follow from the state alone, so that no move can forget them."""
    values: dict[str, Any] = {}
    if (delivery.state, to.state) == (DeliveryState.IN_DOUBT, DeliveryState.PLANNED):
        values["doubted"] = True
    # The learner may have the doubtful copy. If it did not count, another message could pass a cap
    # while this one waits to be sent again.
    counts = to.state in COUNTED_STATES or values.get("doubted", delivery.doubted)
    values["claimed_at"] = (delivery.claimed_at or now) if counts else None
    if to.state != DeliveryState.CLAIMED:
        values["lease_until"] = None
    if to.state in _FINISHED:
        # Even if the clock was set back, a message must not end before it began.
        values["finished_at"] = max(now, delivery.claimed_at or delivery.planned_at)
    if to.until is not None:
        values["send_at"] = min(to.until, delivery.expires_at)
    return values


def _traced(trace: list[dict[str, Any]], to: Move, now: datetime) -> list[dict[str, Any]]:
    entry = {"at": now.isoformat(), "state": str(to.state), "reason": to.reason}
    if to.detail:
        entry["detail"] = to.detail
    if to.until is not None:
        entry["until"] = to.until.isoformat()
    return [*trace[-MAX_TRACE + 1 :], entry]
