"""What became of a message after its hand-off, in sentences. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from common.dates import instant_text

_SAID = {
    "rejected_at": "The provider did not send it on {at}.",
    "delivered_at": "It arrived on {at}.",
    "soft_bounced_at": "It came back for now on {at}, so it may have arrived later.",
    "hard_bounced_at": "It came back on {at}, because the address accepts no mail.",
    "opened_at": "Somebody opened it first on {at}.",
    "clicked_at": "Somebody first followed a link of it on {at}.",
    "machine_opened_at": "A program opened it first on {at}.",
    "machine_clicked_at": "A program first followed a link of it on {at}.",
    "unsubscribed_at": "The learner unsubscribed at the provider on {at}.",
    "complained_at": "The learner marked it as spam on {at}.",
}


def receipt_sentences(instants: Mapping[str, datetime | None], *, zone: str) -> Iterator[str]:
    """Yield what happened to the message, in the order of time. `instants` is by column."""
    known = [(at, said) for name, said in _SAID.items() if (at := instants.get(name)) is not None]
    for at, said in sorted(known):
        yield said.format(at=instant_text(at, zone=zone))
