"""What pages of staff show of a mail: its HTML in a closed frame, its links, its text."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.urls import Resolver404, resolve

from interventions.render.found_links import FoundLink, links_of
from interventions.render.masked_links import masked_html, masked_text

# The mail is shown in a sandboxed frame. This policy protects a second time.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})
LEARNER_PAGES = frozenset({"interventions:unsubscribe", "interventions:preferences"})


@dataclass(frozen=True)
class ShownMail:
    """The parts of a mail for a page of staff. With `is_masked` its own links are hidden."""

    html: str
    text: str
    links: list[FoundLink]
    is_masked: bool
    policy: str = MAIL_POLICY


def shown_mail(request: HttpRequest, *, html: str, text: str) -> ShownMail:
    """Return the parts of a mail.

    Links to the learner's own pages are masked, unless settings allow staff to follow them.
    """
    is_masked = not settings.STAFF_FOLLOW_LEARNER_LINKS
    if is_masked:
        html, text = masked_html(html), masked_text(text)
    links = [_followed_here(link, request) for link in links_of(html=html, text=text)]
    return ShownMail(html, text, links, is_masked)


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
