"""Compose a mail from a draft, with headers that every mail server accepts."""

from datetime import datetime
from email.header import decode_header, make_header
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email

from activity.models import Learner
from common.addresses import deliverable
from interventions.channels.base import Draft, Shown
from interventions.channels.written_mail import WrittenMail, encoded_words
from interventions.models import Category, TemplateText
from interventions.render.context import SAMPLE
from interventions.render.links import site_host
from interventions.render.mail import Rendered, render_message
from interventions.render.names import full_name, one_line
from interventions.render.tracked import with_tracked_links
from interventions.tracking.reports import DELIVERY_KEY

# Backends of anymail that refuse a mail with metadata.
_WITHOUT_METADATA = ("mailersend", "postal")


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
    mail = WrittenMail(
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
    mail.write()
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
    return formataddr((encoded_words(course or name, "From"), address))


def _recipient(draft: Draft) -> str:
    name = full_name(draft.learner.name)
    return formataddr((encoded_words(name, "To"), deliverable(draft.address)))


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
