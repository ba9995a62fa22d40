"""The mailbox: the messages that were kept for staff instead of being sent."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Concatenate, ParamSpec
from urllib.parse import urlsplit

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve
from django.utils.timezone import get_current_timezone_name
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from common.dates import instant_text
from common.masking import mask_links
from common.stored_text import without_nul
from interventions.models import MailboxMessage
from interventions.queries import mailbox as mailbox_queries
from interventions.render.found_links import FoundLink, links_of
from interventions.render.masked_links import masked_html, masked_text
from interventions.views.row_ids import row_id

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

# The message is shown in a sandboxed frame. This policy protects a second time.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})
LEARNER_PAGES = frozenset({"interventions:unsubscribe", "interventions:preferences"})


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
    is_masked = message is not None and not settings.STAFF_FOLLOW_LEARNER_LINKS
    if message is not None and is_masked:
        _mask(message)
    found = links_of(html=message.html, text=message.text) if message else []
    links = [_followed_here(link, request) for link in found]
    context = {"mail": message, "policy": MAIL_POLICY, "links": links, "is_masked": is_masked}
    context["sent_at"] = _sent_at([message])[0] if message else ""
    status = 200 if message else 404
    return render(request, "interventions/mailbox_message.html", context, status=status)


def _sent_at(messages: Sequence[MailboxMessage]) -> list[str]:
    """Return when each was sent, in the zone of its course, or else in that of the whole page."""
    zones, usual = mailbox_queries.zones_of(messages), get_current_timezone_name()
    return [
        instant_text(each.received_at, zone=zones.get(each.message_id, usual)) for each in messages
    ]


def _mask(message: MailboxMessage) -> None:
    message.html, message.text = masked_html(message.html), masked_text(message.text)
    message.headers = [[name, mask_links(value)] for name, value in message.headers]


def _followed_here(link: FoundLink, request: HttpRequest) -> FoundLink:
    # A mail sent while a local copy used another port has that port in its links. The same page
    # exists here, at the host and port of this request.
    url = urlsplit(link.address)
    if url.hostname not in THIS_MACHINE or url.netloc == request.get_host():
        return link
    try:
        is_ours = resolve(url.path).view_name in LEARNER_PAGES
    except Resolver404:
        return link
    return replace(link, address=request.build_absolute_uri(url.path)) if is_ours else link
