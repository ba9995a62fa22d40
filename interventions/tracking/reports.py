"""What a provider says about a message, in one form for all providers. Pure.

The events are those of django-anymail. Nothing in them is trusted to be there or to be of its type:
an event that raised would keep the others of its request from being stored.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from common.addresses import comparable
from common.masking import mask_links
from common.stored_text import storable_text
from interventions.tracking.bounces import bounce_of
from interventions.tracking.machines import is_machine

# The name under which we send the key of a delivery along with its message.
DELIVERY_KEY = "delivery"
# Our own links report under this name.
OWN_LINK = "link"
# The other kinds of anymail are about mails to us, or say nothing.
KINDS = frozenset(
    {
        "queued",
        "sent",
        "rejected",
        "failed",
        "deferred",
        "delivered",
        "bounced",
        "complained",
        "unsubscribed",
        "opened",
        "clicked",
    }
)
# A link used twice within this time counts once.
SAME_CLICK = timedelta(seconds=10)

_LONGEST = {
    "message_id": 300,
    "recipient": 320,
    "link": 2000,
    "user_agent": 300,
    "detail": 300,
    "reject_reason": 20,
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """One event of a message. `at` is None if the provider gives no instant."""

    provider: str
    kind: str
    at: datetime | None
    message_id: str = ""
    delivery_key: UUID | None = None
    event_id: str = ""
    recipient: str = ""
    link: str = ""
    user_agent: str = ""
    detail: str = ""
    bounce: str = ""
    reject_reason: str = ""
    machine: bool = False

    @property
    def digest(self) -> str:
        """Return what makes the event one and the same, however often it is delivered."""
        # The provider's own number tells two events apart only where there is no instant: several
        # providers give every attempt to deliver an event another number.
        is_numbered = self.at is None or self.provider == OWN_LINK
        when = self.event_id if is_numbered or self.at is None else str(self.at.astimezone(UTC))
        parts = (self.provider, self.message_id, self.kind, when, self.recipient, self.link)
        own = (str(self.delivery_key or ""),)
        return hashlib.sha256("\0".join((*parts, *own)).encode()).hexdigest()


def provider_id(provider: str, message_id: str) -> str:
    """Return the id of a message over all providers, such as "postmark:0a12..."."""
    return f"{provider_key(provider)}:{message_id}"


def provider_key(name: str) -> str:
    """Return the provider's name as a key: "Amazon SES" is "amazon_ses"."""
    return name.strip().lower().replace(" ", "_")


def report_of(event: Any, *, provider: str) -> Report | None:
    """Return an event of anymail as a report, or None for a kind that says nothing about a mail."""
    raw = _mapping(getattr(event, "esp_event", None))
    kind = _text(event, "event_type")
    if kind not in KINDS:
        return None
    detail = " ".join(filter(None, (_text(event, "description"), _text(event, "mta_response"))))
    texts = {
        "message_id": _text(event, "message_id"),
        "recipient": comparable(_text(event, "recipient")),
        # Who reads the link of a learner's page can use it.
        "link": mask_links(_text(event, "click_url")),
        "user_agent": _text(event, "user_agent"),
        "detail": detail,
        "reject_reason": _text(event, "reject_reason"),
    }
    cut = {name: storable_text(text)[: _LONGEST[name]] for name, text in texts.items()}
    return Report(
        provider=provider,
        kind=kind,
        at=_instant(event),
        delivery_key=_key(event),
        event_id=_text(event, "event_id"),
        bounce=bounce_of(provider, raw, detail) if kind == "bounced" else "",
        machine=kind in ("opened", "clicked") and is_machine(provider, raw, cut["user_agent"]),
        **cut,
    )


def click_of(
    delivery_key: UUID, link: str, *, at: datetime, user_agent: str, is_machine: bool
) -> Report:
    """Return the use of one of our own links as a report.

    A link used twice within some seconds counts once, for a person and for a machine.
    """
    span = int(at.timestamp() // SAME_CLICK.total_seconds())
    return Report(
        provider=OWN_LINK,
        kind="clicked",
        at=at,
        event_id=f"{span} {is_machine}",
        delivery_key=delivery_key,
        link=link[: _LONGEST["link"]],
        user_agent=storable_text(user_agent)[: _LONGEST["user_agent"]],
        machine=is_machine,
    )


def _text(event: Any, name: str) -> str:
    value = getattr(event, name, None)
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _instant(event: Any) -> datetime | None:
    at = getattr(event, "timestamp", None)
    if not isinstance(at, datetime):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _key(event: Any) -> UUID | None:
    sent_along = _mapping(getattr(event, "metadata", None)).get(DELIVERY_KEY)
    try:
        return UUID(str(sent_along))
    except ValueError:
        return None
