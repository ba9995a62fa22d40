"""Record the result of a hand-off."""

from copy import copy
from datetime import datetime, timedelta

from django.db import transaction

from activity.operations import append_own_event, append_quiet_event
from common.back_off import BackOff
from interventions.channels import Answer, Outcome, Result
from interventions.models import Delivery, DeliveryState
from interventions.operations.claim import Claim
from interventions.operations.ledger import Move, move
from segmentation.signals import SIGNALS, Need

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


@transaction.atomic
def finish_delivery(claim: Claim, answer: Answer, *, now: datetime) -> str | None:
    """Write the answer to the ledger. Return the new state, or None if the claim was lost.

    A hand-off is written to the event log first, because Due rows are locked before deliveries. The
    channel's own rows come last.
    """
    delivery = _write_answer(claim, answer, now=now)
    if delivery is None:
        return None
    if claim.channel.record is not None:
        claim.channel.record([Outcome(delivery, claim.message, answer)], now=now)
    return str(delivery.state)


def _write_answer(claim: Claim, answer: Answer, *, now: datetime) -> Delivery | None:
    """Return the delivery as it was moved, or None if the claim was lost."""
    handed_off = answer.result is Result.HANDED_OFF
    # A copy, because this runs again after a database outage and needs the claim unchanged.
    delivery = copy(claim.delivery)
    if handed_off:
        write_sent_event(delivery, verb=claim.channel.verb, now=now)
    to = _next(delivery, answer, now)
    if answer.result is Result.CHANNEL_DOWN:
        moved = _give_back(delivery, to, now=now)
    else:
        moved = move(delivery, to, now=now, **_given(answer))
    if not moved and handed_off:
        return _finish_late(delivery, to, answer, now=now)
    return delivery if moved else None


@transaction.atomic
def release_claim(claim: Claim, *, now: datetime, reason: str) -> None:
    """Give back a claim before anything was handed off."""
    _give_back(copy(claim.delivery), Move(DeliveryState.PLANNED, reason, until=now), now=now)


def write_sent_event(delivery: Delivery, *, verb: str, now: datetime) -> None:
    """Write the hand-off to the event log. The same message counts only once."""
    # If no signal reads the log, a quiet event avoids an evaluation after each message, for which
    # the learner's next message would wait.
    is_read = any(Need.LOG in signal.needs for signal in SIGNALS)
    append = append_own_event if is_read else append_quiet_event
    append(delivery.enrollment_id, verb, source_id=delivery.message_id, now=now)


def retry_at(attempts: int, *, now: datetime) -> datetime:
    """Return when to try again after this number of attempts: 1 minute, 4, 16, then every hour."""
    return now + _RETRIES.after(attempts)


def _given(answer: Answer) -> dict[str, str]:
    """Return what the provider gave the message, by which its webhooks name it."""
    return {"provider_id": answer.provider_id} if answer.provider_id else {}


def _finish_late(claimed: Delivery, to: Move, answer: Answer, *, now: datetime) -> Delivery | None:
    late = Delivery.objects.filter(pk=claimed.pk, token=claimed.token, state__in=_LATE)
    delivery = late.select_for_update(no_key=True).first()
    if delivery is None:
        return None
    delivery.run, delivery.enrollment = claimed.run, claimed.enrollment
    move(delivery, to, now=now, **_given(answer))
    return delivery


def _give_back(delivery: Delivery, to: Move, *, now: datetime) -> bool:
    # An attempt counts only if the server judged, or may have judged, this recipient or message.
    return move(delivery, to, now=now, attempts=delivery.attempts - 1)


def _after_channel_down(delivery: Delivery, answer: Answer, now: datetime) -> datetime:
    if not answer.may_be_the_message:
        return now + max(AFTER_CHANNEL_DOWN.first, answer.retry_after or timedelta(0))
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
