"""What follows from tracking events: machines, states, entries in the log, noes and receipts."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from activity.operations import append_message_events, keep_noes_of_messages
from interventions.models import Delivery, DeliveryState, TrackingEvent
from interventions.operations.ledger import Move, move
from interventions.operations.receipts import write_receipts
from interventions.operations.tracking_log import Reported, logged, noes_of, noes_of_strangers
from interventions.queries.tracking import follows_of
from interventions.tracking.machines import Follow, at_once, is_too_soon
from interventions.tracking.states import next_states
from segmentation.queries import reads_log

BY_PROVIDER = "by_provider"


def act_on(events: Sequence[TrackingEvent], *, now: datetime) -> set[int]:
    """Let the events act, and return the ids of those that are done. Call it in a transaction.

    An event of an unknown message does not act, except that a no counts for its address. An event
    of a message that is being handed off waits for the result.
    """
    reported = _with_messages(events)
    done = {event.pk for each in reported for event in each.events}
    _tell_machines(reported)
    # First, because Due rows are locked before deliveries.
    append_message_events([*logged(reported)], now=now, is_read=reads_log())
    unknown = [event for event in events if event.pk not in done]
    keep_noes_of_messages([*noes_of(reported), *noes_of_strangers(unknown)])
    _move(reported, now)
    write_receipts([event for each in reported for event in each.events])
    return done


def _with_messages(events: Sequence[TrackingEvent]) -> list[Reported]:
    of_each: dict[int, list[TrackingEvent]] = defaultdict(list)
    for event in events:
        if event.delivery_id is not None:
            of_each[event.delivery_id].append(event)
    rows = Delivery.objects.filter(pk__in=of_each).exclude(state=DeliveryState.CLAIMED)
    return [Reported(delivery, of_each[delivery.pk]) for delivery in rows.order_by("pk")]


def _tell_machines(reported: Sequence[Reported]) -> None:
    """Mark opens and clicks that came too soon after the hand-off, or several at once."""
    clicked = {
        each.delivery.pk for each in reported if any(e.kind == "clicked" for e in each.events)
    }
    together = at_once(follows_of(clicked)) if clicked else set()
    for each in reported:
        sent_at = each.delivery.finished_at or each.delivery.claimed_at
        for event in each.events:
            if event.kind in ("opened", "clicked"):
                follow = Follow(each.delivery.pk, event.link, event.happened_at)
                is_early = is_too_soon(event.happened_at, handed_off_at=sent_at)
                event.machine |= follow in together or is_early


def _move(reported: Sequence[Reported], now: datetime) -> None:
    kinds = {each.delivery.pk: each for each in reported}
    rows = Delivery.objects.filter(pk__in=kinds).select_related("run").order_by("pk")
    for delivery in rows.select_for_update(no_key=True, of=("self",)):
        _move_one(delivery, kinds[delivery.pk], now)


def _move_one(delivery: Delivery, reported: Reported, now: datetime) -> None:
    for state in next_states(delivery.state, reported.meanings):
        reason = BY_PROVIDER if state == DeliveryState.HANDED_OFF else ""
        detail = reported.answer if state == DeliveryState.BOUNCED else ""
        move(delivery, Move(DeliveryState(state), reason, detail), now=now)
