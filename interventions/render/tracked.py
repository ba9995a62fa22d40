"""Links that lead through this site, which notes the click. The token holds the address itself."""

import re
from dataclasses import dataclass
from html import escape, unescape
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from common.masking import mask_links

_SALT = "interventions.click"
_HREF = re.compile(r"""(<a\b(?:[^>"]|"[^"]*")*?\shref=")([^"]+)(?=")""", re.IGNORECASE)
_IN_TEXT = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_OURS = re.compile(r"""https?://[^\s"'<>/]+/c/([^\s"'<>/]+)/""", re.IGNORECASE)
# Browsers and servers, Django's redirect among them, refuse longer ones.
_LONGEST = 2_000


@dataclass(frozen=True)
class ClickLink:
    """A link of a message: the key of its delivery, and where it leads."""

    delivery_key: UUID
    address: str


def with_tracked_links(html: str, text: str, delivery_key: UUID) -> tuple[str, str]:
    """Return both parts of a mail with its web links leading through this site.

    Links to the learner's own pages stay as they are: unsubscribing must depend on nothing.
    """
    tracked: dict[str, str] = {}

    def lead_through(found: re.Match[str]) -> str:
        address = unescape(found[2]).strip()
        if not _is_tracked(address):
            return found[0]
        if address not in tracked:
            tracked[address] = _url(ClickLink(delivery_key, address))
        return f"{found[1]}{escape(tracked[address])}"

    page = _HREF.sub(lead_through, html)
    return page, _IN_TEXT.sub(lambda found: tracked.get(found[0], found[0]), text)


def read_click(token: str) -> ClickLink | None:
    """Return the link, or None for a token that this site has not signed."""
    try:
        key, address = Signer(salt=_SALT).unsign_object(token)
        link = ClickLink(UUID(key), str(address))
    except (BadSignature, ValueError, TypeError, AttributeError):
        return None
    return link if _is_web(link.address) else None


def without_tracking(written: str, *, is_html: bool) -> str:
    """Return a part of a mail with the addresses behind its links, for staff.

    Following a link of the mail itself would count as a click of the learner.
    """

    def lead_there(found: re.Match[str]) -> str:
        link = read_click(unescape(found[1]) if is_html else found[1])
        if link is None:
            return found[0]
        return escape(link.address) if is_html else link.address

    return _OURS.sub(lead_there, written)


def _is_tracked(address: str) -> bool:
    return _is_web(address) and mask_links(address) == address


def _is_web(address: str) -> bool:
    try:
        url = urlsplit(address)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname) and len(address) <= _LONGEST


def _url(link: ClickLink) -> str:
    value = [link.delivery_key.hex, link.address]
    token = Signer(salt=_SALT).sign_object(value, compress=True)
    return f"{settings.BASE_URL}{reverse('interventions:click', args=[token])}"
