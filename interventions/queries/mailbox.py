"""Pages of the staff mailbox. Nothing here counts or scans the whole table."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from activity.access import Viewer, for_user
from interventions.models import Delivery, MailboxMessage

PAGE = 50


@dataclass(frozen=True)
class MailboxPage:
    """Messages, the newest first, and the message after which the next page begins."""

    messages: list[MailboxMessage]
    older: MailboxMessage | None


def mailbox_page(
    *, viewer: Viewer, recipient: str = "", behind: MailboxMessage | None = None
) -> MailboxPage:
    """Return the messages after `behind` whose recipient begins with `recipient`. One query."""
    rows = for_user(_behind(behind), viewer)
    if recipient:
        rows = rows.filter(recipient__startswith=recipient.strip().lower())
    found = list(rows.order_by("-received_at", "-id").defer("headers", "text", "html")[: PAGE + 1])
    return MailboxPage(found[:PAGE], found[PAGE - 1] if len(found) > PAGE else None)


def zones_of(messages: Sequence[MailboxMessage]) -> dict[str, str]:
    """Return by message id the zone of the course of each message of a cadence. One query."""
    sent = Delivery.objects.filter(message_id__in=[each.message_id for each in messages])
    found = sent.exclude(message_id="").values_list("message_id", "enrollment__course__time_zone")
    return dict(found)


def mailbox_message(message_id: int, *, viewer: Viewer) -> MailboxMessage | None:
    """Return one message with all its fields. One query."""
    return for_user(MailboxMessage.objects.filter(pk=message_id), viewer).first()


def _behind(message: MailboxMessage | None) -> QuerySet[MailboxMessage]:
    # By position, not by page number: an offset would read all skipped rows.
    if message is None:
        return MailboxMessage.objects.all()
    at = message.received_at
    return MailboxMessage.objects.filter(
        Q(received_at__lt=at) | Q(received_at=at, pk__lt=message.pk), received_at__lte=at
    )
