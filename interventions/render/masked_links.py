"""A mail as staff may see it: whoever follows a learner's link speaks for the learner."""

import re
from html import unescape

from common.masking import mask_links

WHY = "This link is the learner's own: following it would be the learner's word."
_HREF = re.compile(r"""\shref\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)""", re.IGNORECASE)


def masked_html(html: str) -> str:
    """Return the mail with all its words, and learners' links that lead nowhere and say why."""
    return mask_links(_HREF.sub(_without_key, html))


def _without_key(href: re.Match[str]) -> str:
    address = unescape(href[1])
    return href[0] if mask_links(address) == address else f' title="{WHY}"'
