"""Mask the learner's own links in a mail for staff. Following one would act for the learner."""

import re
from html import unescape

from common.masking import mask_links
from interventions.render.tracked import without_tracking

WHY = "This link is for the learner only. If you follow it, you act for the learner."
_HREF = re.compile(r"""\shref\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)


def masked_html(html: str) -> str:
    """Return the mail with its whole text, but with the learner's links disabled and explained."""
    return mask_links(_HREF.sub(_without_key, without_tracking(html, is_html=True)))


def masked_text(text: str) -> str:
    """Return the text part in the same way."""
    return mask_links(without_tracking(text, is_html=False))


def _without_key(href: re.Match[str]) -> str:
    address = unescape(href[1])
    return href[0] if mask_links(address) == address else f' title="{WHY}"'
