"""Texts by which rows are found: one spelling of each. Pure."""

import unicodedata

# Longer numbers are no ids, and Python refuses to write out very long ones.
_LONGEST_NUMBER = 10**30


def composed(text: str) -> str:
    """Return the text in the composed form of Unicode (NFC).

    An accent can be written as a letter of its own or as two signs that look the same, and a
    platform's roster and its log need not agree on which.
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def key_text(value: object) -> object:
    """Return a key as it is stored: composed, and a whole number of JSON as its digits.

    What can be no key comes back as it is.
    """
    if isinstance(value, str):
        # An enumeration's member is text too, but the driver has its own ideas about those.
        return composed(str.__str__(value))
    is_number = type(value) is int and abs(value) < _LONGEST_NUMBER
    return str(value) if is_number else value
