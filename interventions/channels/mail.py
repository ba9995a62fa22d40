"""Compose a mail from a draft, with headers that every mail server accepts."""

from datetime import datetime
from email.header import Header, decode_header, make_header
from email.message import Message
from email.utils import format_datetime, formataddr, parseaddr
from functools import cached_property, lru_cache
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import (
    RFC5322_EMAIL_LINE_LENGTH_LIMIT,
    SafeMIMEMultipart,
    SafeMIMEText,
)
from django.core.validators import validate_email

from activity.models import Learner
from common.addresses import deliverable
from interventions.channels.base import Draft, Shown
from interventions.channels.mail_bytes import TextPart
from interventions.models import Category, TemplateText
from interventions.render.context import SAMPLE
from interventions.render.links import site_host
from interventions.render.mail import Rendered, render_message
from interventions.render.names import full_name, one_line
from interventions.render.tracked import with_tracked_links
from interventions.tracking.reports import DELIVERY_KEY

_CHARSET = "utf-8"
# The limit for a line with an encoded word. The word has at most 75 characters (RFC 2047, 2).
_LONGEST_LINE = 76
# Backends of anymail that refuse a mail with metadata.
_WITHOUT_METADATA = ("mailersend", "postal")


class _Parts(SafeMIMEMultipart):
    """Both texts of a mail, with headers."""

    def __setitem__(self, name: str, value: str) -> None:
        """Add a header. Raise BadHeaderError, a ValueError, if it has a line break."""
        if value.isascii() and value.isprintable() and name != "Subject":
            # Django would leave it unchanged.
            Message.__setitem__(self, name, value)
        else:
            super().__setitem__(name, value)


class _Mail(EmailMultiAlternatives):
    """A mail whose subject has encoded words that every mail server accepts.

    It is written once: a bad header fails before anything is claimed, and the backend sends what
    was written then.
    """

    # Sent along with the mail by backends of anymail.
    metadata: dict[str, str]

    def message(self, **options: Any) -> Any:
        """Return the mail as it was first written."""
        return self._written

    @cached_property
    def _written(self) -> SafeMIMEMultipart:
        # As Django writes it, in less than half of the time.
        # A boundary that no text has by chance, and so short that its header is one line.
        boundary = f"=_{uuid4().hex[:26]}"
        written = _Parts("alternative", boundary=boundary, encoding=_CHARSET)
        written.attach(_part(str(self.body), "plain"))
        written.attach(_part(str(self.alternatives[0][0]), "html"))
        written["Subject"] = str(self.subject)
        # Django's own subject has encoded words one character too long.
        written.replace_header("Subject", _encoded(str(self.subject), "Subject"))
        written["From"] = self.from_email
        written["To"] = ", ".join(self.to)
        if self.reply_to:
            written["Reply-To"] = ", ".join(self.reply_to)
        for name, value in self.extra_headers.items():
            written[name] = value
        return written


def _part(text: str, kind: str) -> Message:
    """Return a text of the mail, as plain text or HTML."""
    content = text.encode()
    if max(map(len, content.splitlines()), default=0) > RFC5322_EMAIL_LINE_LENGTH_LIMIT:
        # Django writes such a text as quoted printable.
        return SafeMIMEText(text, kind, _CHARSET)
    part = TextPart()
    part.content = content
    part["Content-Type"] = f'text/{kind}; charset="{_CHARSET}"'
    part["MIME-Version"] = "1.0"
    part["Content-Transfer-Encoding"] = "7bit" if content.isascii() else "8bit"
    # How the email package keeps bytes in a text.
    part.set_payload(content.decode("ascii", "surrogateescape"))
    return part


def mail_address(learner: Learner) -> str:
    """Return the learner's mail address, or an empty text if there is no valid one."""
    address = learner.email or ""
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address


def compose_mail(draft: Draft) -> EmailMultiAlternatives:
    """Return the mail. Raise ValueError if the text or a header cannot be written."""
    rendered = render_message(
        subject=draft.text.subject,
        body=draft.text.body,
        context=draft.context,
        postal_address=settings.POSTAL_ADDRESS,
        locale=draft.text.locale,
    )
    html, text = _links(draft, rendered)
    mail = _Mail(
        subject=rendered.subject,
        body=text,
        from_email=_sender(draft),
        to=[settings.EMAIL_REDIRECT_TO or _recipient(draft)],
        reply_to=_reply_to(draft),
        headers=_headers(draft),
    )
    mail.attach_alternative(html, "text/html")
    if draft.delivery.pk and _takes_metadata():
        # It comes back in the provider's reports, which also know it if our worker dies before it
        # has recorded the provider's own id.
        mail.metadata = {DELIVERY_KEY: str(draft.delivery.key)}
    mail.message()
    return mail


def _takes_metadata() -> bool:
    backend = settings.EMAIL_BACKEND
    is_refused = any(f".{name}." in backend for name in _WITHOUT_METADATA)
    return backend.startswith("anymail.") and not is_refused


def _links(draft: Draft, rendered: Rendered) -> tuple[str, str]:
    """Return both parts, with tracked links if the site and the category say so."""
    delivery = draft.delivery
    # A test mail has no delivery, and staff are not counted.
    is_tracked = settings.TRACK_CLICKS and delivery.category.track_clicks and delivery.pk
    if not is_tracked:
        return rendered.html, rendered.text
    return with_tracked_links(rendered.html, rendered.text, delivery.key)


def show_mail(mail: EmailMultiAlternatives) -> Shown:
    """Return what the learner reads in the mail, with its sender."""
    html = next((str(part[0]) for part in mail.alternatives), "")
    return Shown(
        subject=str(mail.subject),
        html=html,
        text=str(mail.body),
        sender=one_line(str(make_header(decode_header(mail.from_email)))),
        reply_to=", ".join(mail.reply_to),
    )


def preview_mail(text: TemplateText) -> Rendered:
    """Return the text with example values. Raise TemplateError if it cannot be rendered."""
    return render_message(subject=text.subject, body=text.body, context=SAMPLE, postal_address="")


def _sender(draft: Draft) -> str:
    # The sender's name is the course, because learners may not know the site.
    return _named(settings.DEFAULT_FROM_EMAIL, one_line(draft.context.course_title))


# All mails of a course have the same sender.
@lru_cache(maxsize=256)
def _named(sender: str, course: str) -> str:
    name, address = parseaddr(sender)
    return formataddr((_encoded(course or name, "From"), address))


def _recipient(draft: Draft) -> str:
    name = full_name(draft.learner.name)
    return formataddr((_encoded(name, "To"), deliverable(draft.address)))


def _reply_to(draft: Draft) -> list[str]:
    # A reply to a mail from a staging copy must not reach the teacher of the real course.
    address = draft.context.reply_to
    return [] if settings.EMAIL_REDIRECT_TO or not address else [address]


def _headers(draft: Draft) -> dict[str, str]:
    headers = {
        "Message-ID": draft.message_id,
        "Date": _date(draft.written_at),
        "List-ID": _list_id(draft.delivery.category),
        "List-Unsubscribe": f"<{draft.context.unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Auto-Submitted": "auto-generated",
    }
    if settings.EMAIL_REDIRECT_TO:
        headers["X-Redirected-From"] = draft.address
    return headers


# All mails of a turn are written at one instant.
@lru_cache(maxsize=16)
def _date(instant: datetime) -> str:
    return format_datetime(instant)


def _list_id(category: Category) -> str:
    # Without a name: if the name had an accent, the id would be encoded with it.
    given = one_line(category.list_id).strip("<>")
    return f"<{given or f'{category.key}.{site_host()}'}>"


def _encoded(text: str, field: str) -> str:
    """Return the text as ASCII on one line, in encoded words that fit on folded header lines.

    `formataddr` alone would make one word of any length, which cannot be folded.
    """
    if text.isascii():
        return text
    lines = Header(text, "utf-8", maxlinelen=_LONGEST_LINE, header_name=field).encode(linesep="\n")
    return " ".join(line.strip() for line in lines.splitlines())
