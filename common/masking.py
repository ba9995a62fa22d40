"""Take the keys of learners' pages out of texts that others read. Pure."""

import re

MASK = "[hidden]"
# The pages for learners, whose address is the key to them, however much of it is there.
_PAGE = re.compile(r"\b(unsubscribe|preferences)/[^/\s\"'<>?#&\\]+", re.IGNORECASE)
# A signed text wherever it stands: what was signed, a colon, and 43 characters of its signature.
_SIGNED = re.compile(r"[\w-]{16,}(?::|%3A)[\w-]{43}(?![\w-])", re.IGNORECASE)


def mask_links(text: str) -> str:
    """Return the text with the key of every learner's link hidden."""
    return _SIGNED.sub(MASK, _PAGE.sub(rf"\1/{MASK}", text))
