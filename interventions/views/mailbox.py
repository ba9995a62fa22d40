"""The mailbox: the messages that were kept for staff instead of being sent."""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.timezone import get_current_timezone_name
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from common.dates import instant_text
from common.masking import mask_links
from common.stored_text import without_nul
from interventions.models import MailboxMessage
from interventions.queries import mailbox as mailbox_queries
from interventions.views.row_ids import row_id
from interventions.views.shown_mail import shown_mail

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def staff_mailbox(view: View[P]) -> View[P]:
    """Allow only staff who may view mailbox messages. Others must log in or are refused."""
    allowed = permission_required("interventions.view_mailboxmessage", raise_exception=True)(view)
    return staff_member_required(allowed)


@never_cache
@require_GET
@staff_mailbox
def mailbox(request: HttpRequest) -> HttpResponse:
    """List the messages in the mailbox, the newest first."""
    recipient = without_nul(request.GET.get("recipient", "")).strip()
    before = row_id(request.GET.get("before", ""))
    behind = (
        None if before is None else mailbox_queries.mailbox_message(before, viewer=request.user)
    )
    page = mailbox_queries.mailbox_page(viewer=request.user, recipient=recipient, behind=behind)
    mails = list(zip(page.messages, _sent_at(page.messages), strict=True))
    context = {"page": page, "mails": mails, "recipient": recipient, "is_first": behind is None}
    return render(request, "interventions/mailbox.html", context)


@never_cache
@require_GET
# The frame of a message inherits the policy of its page, and mails have inline styles.
@csp_update({"style-src": [UNSAFE_INLINE]})  # type: ignore[arg-type]
@staff_mailbox
def mailbox_message(request: HttpRequest, message_id: int) -> HttpResponse:
    """Show one message as the learner sees it, as text, and with its headers.

    Links to the learner's own pages are masked, unless settings allow staff to follow them.
    """
    message = mailbox_queries.mailbox_message(message_id, viewer=request.user)
    if message is None:
        return render(request, "interventions/mailbox_message.html", {}, status=404)
    mail = shown_mail(request, html=message.html, text=message.text)
    headers = [[name, mask_links(value) if mail.is_masked else value]
               for name, value in message.headers]  # fmt: skip
    context = {"message": message, "mail": mail, "headers": headers}
    return render(
        request,
        "interventions/mailbox_message.html",
        context | {"sent_at": _sent_at([message])[0]},
    )


def _sent_at(messages: Sequence[MailboxMessage]) -> list[str]:
    """Return when each was sent, in the zone of its course, or else in that of the whole page."""
    zones, usual = mailbox_queries.zones_of(messages), get_current_timezone_name()
    return [
        instant_text(each.received_at, zone=zones.get(each.message_id, usual)) for each in messages
    ]
