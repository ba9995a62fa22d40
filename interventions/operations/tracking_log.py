"""What tracking events bring into the event log, and which of them are a no."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Lower

from activity.models import Learner, NoKind
from activity.operations import MessageEvent, NoOfMessage
from common.addresses import comparable
from interventions.channels import CHANNELS
from interventions.models import Delivery, DeliveryState, TrackingEvent
from interventions.tracking.states import next_states

_VERBS = {
    "opened": "EMAIL_OPENED",
    "clicked": "EMAIL_CLICKED",
    "hard_bounced": "EMAIL_BOUNCED",
    "soft_bounced": "EMAIL_BOUNCED",
    "complained": "EMAIL_COMPLAINED",
    "unsubscribed": "UNSUBSCRIBED",
}
_NOES = {
    "hard_bounced": NoKind.BOUNCE,
    "complained": NoKind.COMPLAINT,
    "unsubscribed": NoKind.OPT_OUT,
}
# Why a provider did not send a message: the address is not valid, or something happened before.
_EARLIER_NOES = {
    "invalid": NoKind.BOUNCE,
    "bounced": NoKind.BOUNCE,
    "spam": NoKind.COMPLAINT,
    "unsubscribed": NoKind.OPT_OUT,
}


@dataclass(frozen=True)
class Reported:
    """A message and what was reported about it."""

    delivery: Delivery
    events: list[TrackingEvent]

    @property
    def meanings(self) -> set[str]:
        """Return what the events mean."""
        return {event.meaning for event in self.events} - {""}

    @property
    def answer(self) -> str:
        """Return why the message did not arrive, in the words of the other side."""
        told = [each.detail for each in self.events if each.meaning in ("hard_bounced", "rejected")]
        return next(filter(None, told), "")


def logged(reported: Sequence[Reported]) -> Iterator[MessageEvent]:
    """Yield the entries of the event log. A hand-off is among them if these are its first proof."""
    for each in reported:
        if each.delivery.message_id and _is_first_proof(each):
            yield _hand_off(each)
        for event in each.events:
            if event.meaning in _VERBS:
                yield _entry(each.delivery, event)


def _is_first_proof(reported: Reported) -> bool:
    return DeliveryState.HANDED_OFF in next_states(reported.delivery.state, reported.meanings)


def _hand_off(reported: Reported) -> MessageEvent:
    delivery = reported.delivery
    return MessageEvent(
        delivery.enrollment_id,
        CHANNELS[delivery.channel].verb,
        source_id=delivery.message_id,
        occurred_at=delivery.claimed_at or min(each.happened_at for each in reported.events),
        properties={},
    )


def _entry(delivery: Delivery, event: TrackingEvent) -> MessageEvent:
    # As the learner's own page writes it, so that one opt-out counts once.
    is_opt_out = event.meaning == "unsubscribed"
    source_id = f"unsubscribed:{delivery.key}" if is_opt_out else f"tracking:{event.digest}"
    return MessageEvent(
        delivery.enrollment_id,
        _VERBS[event.meaning],
        source_id=source_id,
        # Before the claim nothing can have happened to the message.
        occurred_at=max(event.happened_at, delivery.claimed_at or event.happened_at),
        properties=_properties(delivery, event),
    )


def _properties(delivery: Delivery, event: TrackingEvent) -> dict[str, Any]:
    properties: dict[str, Any] = {"delivery": str(delivery.key), "provider": event.provider}
    if event.kind in ("opened", "clicked"):
        properties["machine"] = event.machine
    if event.link:
        properties["link"] = event.link
    if event.bounce:
        properties |= {"bounce_type": event.bounce, "address": event.recipient}
    return properties


def noes_of(reported: Sequence[Reported]) -> Iterator[NoOfMessage]:
    """Yield the noes to known messages."""
    for each in reported:
        mailbox = comparable(each.delivery.address)
        for event in each.events:
            kind = _no_of(event)
            if kind is not None:
                # A staging copy sends to another address. Its no is not the learner's.
                is_theirs = event.recipient in ("", mailbox)
                learner_id = each.delivery.learner_id if is_theirs else None
                said = event.recipient or mailbox
                yield NoOfMessage(kind, said, event.happened_at, learner_id)


def noes_of_strangers(events: Sequence[TrackingEvent]) -> Iterator[NoOfMessage]:
    """Yield the noes to unknown messages whose address a learner has. At most one query.

    The message may be recorded later, but nothing may go out until then. If another program sent
    it, the address bounces, or its owner complains, all the same.
    """
    said = [
        (event, kind)
        for event in events
        if event.recipient and not event.attempts and (kind := _no_of(event)) is not None
    ]
    known = _mailboxes({event.recipient for event, _ in said}) if said else set()
    for event, kind in said:
        if event.recipient in known:
            yield NoOfMessage(kind, event.recipient, event.happened_at)


def _no_of(event: TrackingEvent) -> NoKind | None:
    if event.kind == "rejected":
        return _EARLIER_NOES.get(event.reject_reason)
    return _NOES.get(event.meaning)


def _mailboxes(addresses: set[str]) -> set[str]:
    """Return those of the comparable addresses that a learner has."""
    learners = Learner.objects.annotate(mailbox=Lower("email")).filter(mailbox__in=addresses)
    return set(learners.values_list("mailbox", flat=True))
