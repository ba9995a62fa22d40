"""Find the messages that tracking events are about, and what else is known of them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from interventions.models import Delivery, TrackingEvent, TrackingKind
from interventions.tracking.machines import Follow
from interventions.tracking.reports import provider_id

# A message is used by few programs. More clicks than these are not read.
MOST_FOLLOWS = 5_000


@dataclass(frozen=True)
class Names:
    """What an event calls its message: our key, the provider's id, and our Message-ID."""

    key: UUID | None
    provider_id: str
    message_id: str


def names_of(event: TrackingEvent) -> Names:
    """Return what the event calls its message."""
    given = event.message_id
    # Over SMTP a provider keeps our own Message-ID. Some leave out the angle brackets.
    own = given if given.startswith("<") else f"<{given}>"
    return Names(
        event.delivery_key,
        provider_id(event.provider, given) if given else "",
        own if given else "",
    )


def match_deliveries(names: Iterable[Names]) -> dict[Names, int]:
    """Return the id of the delivery for each of the names that is known. At most one query."""
    wanted = {each for each in names if each != Names(None, "", "")}
    if not wanted:
        return {}
    # Each branch can use its index: the conditions repeat those of the partial ones.
    by_key = Delivery.objects.filter(key__in={each.key for each in wanted if each.key})
    by_provider = Delivery.objects.filter(
        ~Q(provider_id=""), provider_id__in={each.provider_id for each in wanted}
    )
    by_own = Delivery.objects.filter(
        ~Q(message_id=""), message_id__in={each.message_id for each in wanted}
    )
    columns = ("pk", "key", "provider_id", "message_id")
    rows = list(
        by_key.values_list(*columns).union(
            by_provider.values_list(*columns), by_own.values_list(*columns)
        )
    )
    keys = {key: pk for pk, key, _, _ in rows}
    provided = {given: pk for pk, _, given, _ in rows if given}
    own = {message_id: pk for pk, _, _, message_id in rows if message_id}
    found = {
        each: keys.get(each.key) or provided.get(each.provider_id) or own.get(each.message_id)
        for each in wanted
    }
    return {each: pk for each, pk in found.items() if pk is not None}


def follows_of(delivery_ids: Collection[int]) -> list[Follow]:
    """Return all uses of links of the messages. One query."""
    rows = TrackingEvent.objects.filter(
        delivery__in=delivery_ids, kind=TrackingKind.CLICKED
    ).order_by("delivery", "happened_at")
    return [
        Follow(message, link, at)
        for message, link, at in rows.values_list("delivery", "link", "happened_at")[:MOST_FOLLOWS]
    ]
