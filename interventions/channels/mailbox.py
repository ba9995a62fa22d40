"""A Django mail backend that stores messages in the database, for the mailbox page of staff."""

from collections.abc import Sequence
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from common.stored_text import without_nul
from interventions.models import MailboxMessage

MAX_HEADER = 998


class MailboxBackend(BaseEmailBackend):
    """The backend for EMAIL_BACKEND that sends no mail. Staff read the messages at /mailbox/."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Store one row per recipient and return the number of messages."""
        rows = [row for message in email_messages for row in _rows(message)]
        MailboxMessage.objects.bulk_create(rows)
        return len(email_messages)


def _rows(email_message: EmailMessage) -> list[MailboxMessage]:
    message = email_message.message()
    headers = [[name, str(value)] for name, value in message.items()]
    return [
        MailboxMessage(
            # Django adds this header if it is missing.
            received_at=parsedate_to_datetime(str(message["Date"])),
            message_id=str(message["Message-ID"])[:MAX_HEADER],
            sender=str(email_message.from_email)[:MAX_HEADER],
            recipient=parseaddr(address)[1].lower()[:MAX_HEADER],
            subject=str(email_message.subject)[:MAX_HEADER],
            headers=headers,
            text=_part(message, "text/plain"),
            html=_part(message, "text/html"),
        )
        for address in email_message.recipients()
    ]


def _part(message: Message, content_type: str) -> str:
    """Return the first part of this type, decoded like in a mail program."""
    for part in message.walk():
        payload = part.get_payload(decode=True)
        if part.get_content_type() == content_type and isinstance(payload, bytes):
            charset = part.get_content_charset() or "utf-8"
            return without_nul(payload.decode(charset, errors="replace"))
    return ""
