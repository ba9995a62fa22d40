"""From a due delivery to the finished message."""

from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings

from activity.models import Learner
from interventions.models import Category, Delivery, TemplateText
from interventions.outgoing import Outgoing
from interventions.queries.context import message_context
from interventions.render.liquid import TemplateError
from interventions.render.mail import render_message
from interventions.render.names import one_line, shown_name


def compose(
    delivery: Delivery, text: TemplateText | None, learner: Learner, *, now: datetime
) -> Outgoing:
    """Return the message in the learner's words. One query. Raise TemplateError with the reason."""
    if text is None:
        raise TemplateError("The template has no text in the learner's language, nor in English.")
    context = message_context(delivery, learner, now=now)
    rendered = render_message(
        subject=text.subject,
        body=text.body,
        context=context,
        postal_address=settings.POSTAL_ADDRESS,
        locale=text.locale,
    )
    return Outgoing(
        address=learner.email or "",
        name=shown_name(learner.name),
        sender_name=one_line(context.course_title),
        reply_to=context.reply_to,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        # One message keeps one Message-ID over all its attempts, so that a mail program that gets
        # it twice shows it once.
        message_id=delivery.message_id or f"<{delivery.key}@{_host()}>",
        written_at=now,
        list_id=_list_id(delivery.category),
        unsubscribe_url=context.unsubscribe_url,
    )


def _list_id(category: Category) -> str:
    # Without a name before it: a name with an accent would be encoded, and the id with it.
    given = one_line(category.list_id).strip("<>")
    return f"<{given or f'{category.key}.{_host()}'}>"


def _host() -> str:
    return urlsplit(settings.BASE_URL).hostname or "localhost"
