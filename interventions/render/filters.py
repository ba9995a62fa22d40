"""Filters of templates that Liquid lacks, or has with a surprise."""

from liquid.exceptions import FilterArgumentError
from liquid.filter import string_filter

_DOTS = "…"


@string_filter
def as_sentence(text: str) -> str:
    """Return the clause as a sentence: with a capital letter and a full stop.

    The filter `capitalize` would write the rest in small letters, also the title of a module.
    """
    return f"{text[:1].upper()}{text[1:]}." if text else text


def counted(number: object, one: object, many: object) -> str:
    """Return the number with its word: "1 minute", but "6 minutes"."""
    if not isinstance(number, int | float):
        raise FilterArgumentError("count needs a number before it", token=None)
    return f"{number} {one if number == 1 else many}"


@string_filter
def truncated(text: str, length: object = 50, end: object = _DOTS) -> str:
    """Return the text with at most this many characters, with `end` in place of what is cut off.

    Liquid's own filter makes a text longer if it is to be shorter than three dots.
    """
    try:
        most = max(int(str(length)), 0)
    except ValueError:
        raise FilterArgumentError("truncate needs a number of characters", token=None) from None
    if len(text) <= most:
        return text
    kept = max(most - len(str(end)), 0)
    return f"{text[:kept]}{end}" if kept else text[:most]
