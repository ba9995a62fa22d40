"""What a message calls a learner, and one line of text out of any."""

import re
import unicodedata

# Characters that turn the direction of the text around them could make a subject read as another.
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
# Mail programs make links of these by themselves, and learners may write their own names.
_ADDRESS = re.compile(r"\S*(?://|@|\bwww\.)\S*", re.IGNORECASE)
_HOST = re.compile(r"(?<=\w)\.(?=\w\w)")
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv", "phd", "md"})


def one_line(text: str) -> str:
    """Return the text as one line without control characters, fit for a header.

    A line break in a name must not begin a header of its own.
    """
    # str.split knows every line break that any mail program knows, U+0085 and U+2028 among them.
    words = " ".join(text.split())
    return "".join(
        each
        for each in words
        if unicodedata.category(each) not in {"Cc", "Cs"} and each not in _DIRECTION
    )


def shown_name(name: str) -> str:
    """Return the name on one line, without anything that a mail program would make a link of."""
    return one_line(_HOST.sub(". ", _ADDRESS.sub(" ", one_line(name))))


def first_name(name: str, *, given: str = "") -> str:
    """Return what a letter calls the person: the given name, else the first of the name, else "".

    "Doe, Jane" is Jane.
    """
    if shown_name(given):
        return shown_name(given)
    family, _, rest = shown_name(name).partition(",")
    is_inverted = rest.strip() and rest.strip(" .").lower() not in _SUFFIXES
    words = (rest if is_inverted else family).split()
    return words[0] if words else ""
