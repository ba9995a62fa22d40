"""The name of a learner in a message, and safe text for one line."""

import re
import unicodedata
from functools import lru_cache

# Characters that change the direction of text could make a subject look like another one.
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
# Mail programs turn these into links, and learners may choose their own names.
_ADDRESS = re.compile(r"\S*(?://|@|\bwww\.)\S*", re.IGNORECASE)
_HOST = re.compile(r"(?<=\w)\.(?=\w\w)")
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv", "phd", "md"})


def one_line(text: str) -> str:
    """Return the text as one line without control characters, safe for a header.

    A line break in a name must not start another header.
    """
    # str.split splits at every line break that mail programs know, also U+0085 and U+2028.
    words = " ".join(text.split())
    if words.isascii() and words.isprintable():
        return words
    return "".join(
        each
        for each in words
        if unicodedata.category(each) not in {"Cc", "Cs"} and each not in _DIRECTION
    )


# A message shows a name several times, and a teacher has many learners.
@lru_cache(maxsize=1024)
def shown_name(name: str) -> str:
    """Return the name on one line, without parts that a mail program would turn into a link."""
    return one_line(_HOST.sub(". ", _ADDRESS.sub(" ", one_line(name))))


def first_name(name: str, *, given: str = "") -> str:
    """Return the given name, else the first word of the name, else an empty text.

    The first name of "Doe, Jane" is Jane.
    """
    if shown_name(given):
        return shown_name(given)
    words = full_name(name).split()
    return words[0].rstrip(",") if words else ""


def full_name(name: str) -> str:
    """Return the whole name as one says it: "Jane Doe", also for "Doe, Jane"."""
    family, *others = (part.strip() for part in shown_name(name).split(","))
    given, *after = others or [""]
    if not any(map(str.isalpha, given)) or given.strip(" .").lower() in _SUFFIXES:
        return shown_name(name).strip(" ,")
    return ", ".join((f"{given} {family}".strip(), *after))
