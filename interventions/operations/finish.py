"""Record the results of hand-offs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from activity.operations import MessageEvent, append_message_events
from common.back_off import BackOff
from interventions.channels import Answer, Outcome, Record, Result
from interventions.models import Delivery, DeliveryState
from interventions.operations.claim import Claim
from interventions.operations.ledger import Change, Move, move, move_all
from interventions.operations.pace import LONGEST

MAX_ATTEMPTS = 6
# After refusals of the message: 1 minute, 4, 16, then every hour.
_RETRIES = BackOff(timedelta(minutes=1), timedelta(hours=1), factor=4)

# The wait after a channel error. A message that may be the cause waits longer each time, because it
# would otherwise stop the channel for all other messages in each loop.
AFTER_CHANNEL_DOWN = BackOff(timedelta(seconds=30), timedelta(minutes=15))

CHANNEL_DOWN = "channel_down"
NOT_ACCEPTED = "not_accepted"
REFUSED = "refused"
TOO_MANY_ATTEMPTS = "too_many_attempts"

# A late finish finds the delivery in doubt, or planned again (prefer_delivery). It was handed off
# all the same, and recording this prevents a second message.
_LATE = (DeliveryState.IN_DOUBT, DeliveryState.PLANNED)


@dataclass(frozen=True)
class Done:
    """A claim, and the answer of the other side."""

    claim: Claim
    answer: Answer


@transaction.atomic
def finish_deliveries(done: Sequence[Done], *, now: datetime) -> list[str | None]:
    """Write the answers to the ledger. Return the new states, or None where the claim was lost."""
    return write_answers(done, now=now)


def write_answers(done: Sequence[Done], *, now: datetime) -> list[str | None]:
    """Do the same in the transaction that is open.

    Hand-offs are written to the event log first, because Due rows are locked before deliveries. The
    channels' own rows come last.
    """
    handed_off = [each.claim for each in done if _is_handed_off(each)]
    # If no rule reads the log, quiet events avoid an evaluation after each message, for which the
    # learner's next message would wait.
    is_read = any(each.is_read for each in handed_off)
    verbs = {each.delivery: each.channel.verb for each in handed_off}
    write_sent_events(verbs, now=now, is_read=is_read)
    changes = [_change(each, now) for each in done]
    moved = {delivery.pk for delivery in move_all(changes, now=now)}
    recorded = [
        change.delivery if change.delivery.pk in moved else _late(each, change, now)
        for each, change in zip(done, changes, strict=True)
    ]
    _record_of_channels(done, recorded, now)
    return [None if delivery is None else str(delivery.state) for delivery in recorded]


def _record_of_channels(
    done: Sequence[Done], recorded: Sequence[Delivery | None], now: datetime
) -> None:
    outcomes: dict[Record, list[Outcome]] = defaultdict(list)
    for each, delivery in zip(done, recorded, strict=True):
        record = each.claim.channel.record
        if delivery is not None and record is not None:
            outcomes[record].append(Outcome(delivery, each.claim.message, each.answer))
    for record, of_channel in outcomes.items():
        record(of_channel, now=now)


@transaction.atomic
def release_claims(claims: Sequence[Claim], *, now: datetime, reason: str) -> None:
    """Give back claims before anything was handed off."""
    to = Move(DeliveryState.PLANNED, reason, until=now)
    move_all([_given_back(_copied(claim.delivery), to) for claim in claims], now=now)


def write_sent_events(deliveries: Mapping[Delivery, str], *, now: datetime, is_read: bool) -> None:
    """Write hand-offs with their verbs to the event log. The same message counts only once.

    If a rule reads them (`is_read`), the enrollments become due, which locks their Due rows.
    """
    events = [
        MessageEvent(each.enrollment_id, verb, each.message_id, occurred_at=now, properties={})
        for each, verb in deliveries.items()
    ]
    append_message_events(events, now=now, is_read=is_read)


def retry_at(attempts: int, *, now: datetime) -> datetime:
    """Return when to try again after this number of attempts: 1 minute, 4, 16, then every hour."""
    return now + _RETRIES.after(attempts)


def _given(answer: Answer) -> dict[str, str]:
    """Return what the provider gave the message, by which its webhooks name it."""
    return {"provider_id": answer.provider_id} if answer.provider_id else {}


def _is_handed_off(done: Done) -> bool:
    return done.answer.result is Result.HANDED_OFF


def _change(done: Done, now: datetime) -> Change:
    delivery = _copied(done.claim.delivery)
    to = _next(delivery, done.answer, now)
    if done.answer.result is Result.CHANNEL_DOWN:
        return _given_back(delivery, to)
    return Change(delivery, to, _given(done.answer))


def _copied(delivery: Delivery) -> Delivery:
    """Return a copy to move. After a database outage the claim is needed unchanged."""
    # `copy` alone would look at each field for what cannot be pickled.
    found = Delivery.__new__(Delivery)
    found.__dict__.update(delivery.__dict__, _state=copy(delivery._state))
    return found


def _given_back(delivery: Delivery, to: Move) -> Change:
    # An attempt counts only if the server judged, or may have judged, this recipient or message.
    return Change(delivery, to, {"attempts": delivery.attempts - 1})


def _late(done: Done, change: Change, now: datetime) -> Delivery | None:
    """Record a hand-off whose claim was lost meanwhile, and return its delivery."""
    claimed = done.claim.delivery
    late = Delivery.objects.filter(pk=claimed.pk, token=claimed.token, state__in=_LATE)
    delivery = late.select_for_update(no_key=True).first() if _is_handed_off(done) else None
    if delivery is None:
        return None
    delivery.run, delivery.enrollment = claimed.run, claimed.enrollment
    move(delivery, change.to, now=now, **_given(done.answer))
    return delivery


def _after_channel_down(delivery: Delivery, answer: Answer, now: datetime) -> datetime:
    if not answer.may_be_the_message:
        return now + max(AFTER_CHANNEL_DOWN.first, _asked(answer))
    before = sum(entry["reason"] == CHANNEL_DOWN for entry in delivery.trace)
    return now + AFTER_CHANNEL_DOWN.after(before + 1)


def _asked(answer: Answer) -> timedelta:
    """Return the time for which the other side asked to be left alone."""
    return min(answer.retry_after or timedelta(0), LONGEST)


def _next(delivery: Delivery, answer: Answer, now: datetime) -> Move:
    match answer.result:
        case Result.HANDED_OFF:
            return Move(DeliveryState.HANDED_OFF)
        case Result.REFUSED:
            return Move(DeliveryState.FAILED, REFUSED, answer.detail)
        case Result.IN_DOUBT:
            return Move(DeliveryState.IN_DOUBT, "", answer.detail)
        case Result.CHANNEL_DOWN:
            until = _after_channel_down(delivery, answer, now)
            return Move(DeliveryState.PLANNED, CHANNEL_DOWN, answer.detail, until)
        case Result.NOT_ACCEPTED:
            if delivery.attempts >= MAX_ATTEMPTS:
                return Move(DeliveryState.FAILED, TOO_MANY_ATTEMPTS, answer.detail)
            until = max(retry_at(delivery.attempts, now=now), now + _asked(answer))
            return Move(DeliveryState.PLANNED, NOT_ACCEPTED, answer.detail, until)
