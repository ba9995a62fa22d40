"""A mail out of a draft: where it goes, and headers that every mail server takes."""

from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email

from activity.models import Learner
from common.addresses import deliverable
from interventions.channels.base import Draft
from interventions.models import Category, TemplateText
from interventions.render.context import SAMPLE
from interventions.render.links import site_host
from interventions.render.mail import Rendered, render_message
from interventions.render.names import one_line, shown_name

# A line with an encoded word is at most so long, and the word 75 characters (RFC 2047, section 2).
_LONGEST_LINE = 76


class _Mail(EmailMultiAlternatives):
    """A mail whose subject is written in encoded words that every mail server takes."""

    def message(self, **options: Any) -> Any:
        """Write the mail. Django's own subject has words one character too long."""
        written = super().message(**options)
        written.replace_header("Subject", _encoded(str(self.subject), "Subject"))
        return written


def mail_address(learner: Learner) -> str:
    """Return the learner's mail address, empty where there is none that mail can be sent to."""
    address = learner.email or ""
    try:
        validate_email(address)
    except ValidationError:
        return ""
    return address


def compose_mail(draft: Draft) -> EmailMultiAlternatives:
    """Return the mail. Raise ValueError where the text or a header cannot be written."""
    rendered = render_message(
        subject=draft.text.subject,
        body=draft.text.body,
        context=draft.context,
        postal_address=settings.POSTAL_ADDRESS,
        locale=draft.text.locale,
    )
    mail = _Mail(
        subject=rendered.subject,
        body=rendered.text,
        from_email=_sender(draft),
        to=[settings.EMAIL_REDIRECT_TO or _recipient(draft)],
        reply_to=_readers_of_answers(draft),
        headers=_headers(draft),
    )
    mail.attach_alternative(rendered.html, "text/html")
    # Writing it once shows a bad header now, while nothing is claimed yet.
    mail.message()
    return mail


def preview_mail(text: TemplateText) -> Rendered:
    """Return the text with example values. Raise TemplateError where it cannot be rendered."""
    return render_message(subject=text.subject, body=text.body, context=SAMPLE, postal_address="")


def _sender(draft: Draft) -> str:
    # Learners know the course, not the site that it runs on.
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    course = one_line(draft.context.course_title)
    return formataddr((_encoded(course or name, "From"), address))


def _recipient(draft: Draft) -> str:
    name = shown_name(draft.learner.name)
    return formataddr((_encoded(name, "To"), deliverable(draft.address)))


def _readers_of_answers(draft: Draft) -> list[str]:
    # An answer to a copy on staging must not reach the teacher of the real course.
    reader = draft.context.reply_to
    return [] if settings.EMAIL_REDIRECT_TO or not reader else [reader]


def _headers(draft: Draft) -> dict[str, str]:
    headers = {
        "Message-ID": draft.message_id,
        "Date": format_datetime(draft.written_at),
        "List-ID": _list_id(draft.delivery.category),
        "List-Unsubscribe": f"<{draft.context.unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Auto-Submitted": "auto-generated",
    }
    if settings.EMAIL_REDIRECT_TO:
        headers["X-Redirected-From"] = draft.address
    return headers


def _list_id(category: Category) -> str:
    # Without a name before it: a name with an accent would be encoded, and the id with it.
    given = one_line(category.list_id).strip("<>")
    return f"<{given or f'{category.key}.{site_host()}'}>"


def _encoded(text: str, field: str) -> str:
    """Return the text as ASCII on one line, in words that fit where the header is folded.

    `formataddr` alone makes one word of it, however long, which no line can be broken in.
    """
    if text.isascii():
        return text
    lines = Header(text, "utf-8", maxlinelen=_LONGEST_LINE, header_name=field).encode(linesep="\n")
    return " ".join(line.strip() for line in lines.splitlines())
