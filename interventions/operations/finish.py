"""Record what became of a hand-off."""

from copy import copy
from datetime import datetime, timedelta

from django.db import transaction

from activity.operations import append_own_event, append_quiet_event
from common.back_off import BackOff
from interventions.channels import Answer, Result
from interventions.models import Delivery, DeliveryState
from interventions.operations.claim import Claim
from interventions.operations.ledger import Move, move
from segmentation.signals import SIGNALS, Need

MAX_ATTEMPTS = 6
# Per refusal of the message: 1 minute, 4, 16, then every hour.
_RETRIES = BackOff(timedelta(minutes=1), timedelta(hours=1), factor=4)

# How soon after an error of the channel the message is tried again. One that may be the cause of it
# waits longer each time: at the head of every loop it would stop the channel for all others.
AFTER_CHANNEL_DOWN = BackOff(timedelta(seconds=30), timedelta(minutes=15))

CHANNEL_DOWN = "channel_down"
NOT_ACCEPTED = "not_accepted"
REFUSED = "refused"
TOO_MANY_ATTEMPTS = "too_many_attempts"

# A finish that comes late finds the delivery in doubt, or (prefer_delivery) planned again. That it
# was handed off is true all the same, and keeps it from being sent a second time.
_LATE = (DeliveryState.IN_DOUBT, DeliveryState.PLANNED)


@transaction.atomic
def finish_delivery(claim: Claim, answer: Answer, *, now: datetime) -> str | None:
    """Write the answer to the ledger and return the new state; None if the claim was lost.

    A hand-off goes into the event log first: the log's Due rows are locked before the delivery.
    """
    handed_off = answer.result is Result.HANDED_OFF
    # A copy: this runs again where the database went away, and then the claim is as it was.
    delivery = copy(claim.delivery)
    if handed_off:
        write_sent_event(delivery, verb=claim.channel.verb, now=now)
    to = _next(delivery, answer, now)
    if answer.result is Result.CHANNEL_DOWN:
        moved = _give_back(delivery, to, now=now)
    else:
        moved = move(delivery, to, now=now)
    if not moved and handed_off:
        return _finish_late(delivery, to, now=now)
    return str(delivery.state) if moved else None


@transaction.atomic
def release_claim(claim: Claim, *, now: datetime, reason: str) -> None:
    """Give a claim back before anything was handed off."""
    _give_back(copy(claim.delivery), Move(DeliveryState.PLANNED, reason, until=now), now=now)


def write_sent_event(delivery: Delivery, *, verb: str, now: datetime) -> None:
    """Put the hand-off into the event log; the same message twice counts once."""
    # Evaluated for nothing after each message, every learner's next one would wait for it.
    is_read = any(Need.LOG in signal.needs for signal in SIGNALS)
    append = append_own_event if is_read else append_quiet_event
    append(delivery.enrollment_id, verb, source_id=delivery.message_id, now=now)


def retry_at(attempts: int, *, now: datetime) -> datetime:
    """Return when to try again after so many attempts: 1 minute, 4, 16, then every hour."""
    return now + _RETRIES.after(attempts)


def _finish_late(claimed: Delivery, to: Move, *, now: datetime) -> str | None:
    late = Delivery.objects.filter(pk=claimed.pk, token=claimed.token, state__in=_LATE)
    delivery = late.select_for_update(no_key=True).first()
    if delivery is None:
        return None
    delivery.run = claimed.run
    move(delivery, to, now=now)
    return str(delivery.state)


def _give_back(delivery: Delivery, to: Move, *, now: datetime) -> bool:
    # An attempt is one in which the server had its say on this recipient or message, or may have.
    return move(delivery, to, now=now, attempts=delivery.attempts - 1)


def _after_channel_down(delivery: Delivery, answer: Answer, now: datetime) -> datetime:
    if not answer.may_be_the_message:
        return now + AFTER_CHANNEL_DOWN.first
    before = sum(entry["reason"] == CHANNEL_DOWN for entry in delivery.trace)
    return now + AFTER_CHANNEL_DOWN.after(before + 1)


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
            until = retry_at(delivery.attempts, now=now)
            return Move(DeliveryState.PLANNED, NOT_ACCEPTED, answer.detail, until)
