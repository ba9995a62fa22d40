"""Normalize key texts, so that each key has one spelling; join texts and name things. Pure."""

import unicodedata
from collections.abc import Sequence

# Longer numbers are not ids, and Python refuses to print very long ones.
_LONGEST_NUMBER = 10**30


def composed(text: str) -> str:
    """Return the text in the composed form of Unicode (NFC).

    An accented letter can be encoded as one character or as two that look the same. A platform's
    roster and its log may use different encodings.
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def key_text(value: object) -> object:
    """Return a key in the form that is stored: composed, and a whole JSON number as its digits.

    A value that cannot be a key is returned unchanged.
    """
    if isinstance(value, str):
        # A member of a StrEnum is converted to plain text, because the driver treats it specially.
        return composed(str.__str__(value))
    is_number = type(value) is int and abs(value) < _LONGEST_NUMBER
    return str(value) if is_number else value


def a_few(texts: Sequence[str], *, most: int = 2) -> str:
    """Return the first texts as "A and B", with the number of the others: "A, B and 3 more"."""
    shown = [*texts[:most]]
    if len(texts) > most:
        shown.append(f"{len(texts) - most:,} more")
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)


def lower_first(text: str) -> str:
    """Return the text with a small first letter, to put it inside a sentence.

    The other letters stay: a trait, a course or a name in the text would be another one.
    """
    return text[:1].lower() + text[1:]


def with_courses(name: str, titles: Sequence[str], *, otherwise: str = "") -> str:
    """Return the name with its courses: `Video-only (Biology 2025)`.

    Courses that the name already holds are not repeated. In place of no course, and of more than
    two, `otherwise` stands, such as the name of a playbook. Without it, courses are counted.
    """
    if titles and all(title in name for title in titles):
        return name
    if len(titles) > 2:
        words = otherwise or f"{len(titles)} courses"
    else:
        words = " and ".join(titles) or otherwise
    return f"{name} ({words})" if words else name
