"""Durations as people write them: "3 days", "1 day 12 hours", "90 min". Pure.

A day is 24 hours. A bare number is refused: who types 3 means days, and would get seconds.
"""

import re
from datetime import timedelta

EXAMPLES = "2 h, 90 min, 3 days, 1 day 12 hours"
# What is longer would carry instants past the end of the calendar; nobody plans that far.
LONGEST = timedelta(days=3650)
MAX_TEXT = 80

_UNITS = {
    "days": ("d", "day", "days"),
    "hours": ("h", "hr", "hrs", "hour", "hours"),
    "minutes": ("min", "mins", "minute", "minutes"),
    "seconds": ("s", "sec", "secs", "second", "seconds"),
    "weeks": ("w", "week", "weeks"),
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words}
_PART = r"(\d{1,7}(?:\.\d{1,6})?)\s*([a-z]+)"
_BETWEEN = r"(?:\s*,\s*|\s+and\s+|\s*)"
_WHOLE = re.compile(rf"{_PART}(?:{_BETWEEN}{_PART})*", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


class DurationError(ValueError):
    """A text that is no duration; the message is a sentence for who wrote it."""


def parse_duration(text: str) -> timedelta:
    """Return the duration that the text says; "0" is none. Raise DurationError with examples."""
    words = text.strip().lower()
    if words == "0":
        return timedelta(0)
    if _NUMBER.fullmatch(words):
        raise DurationError(f"Say {words} of what: write it with a unit, such as {EXAMPLES}.")
    if len(words) > MAX_TEXT or not _WHOLE.fullmatch(words):
        raise DurationError(f"This is not a duration: write it such as {EXAMPLES}, or 0.")
    duration = sum((_part(*found) for found in re.findall(_PART, words)), timedelta(0))
    if duration > LONGEST:
        raise DurationError(f"This is longer than {duration_in_words(LONGEST)}.")
    return duration


def duration_in_words(duration: timedelta) -> str:
    """Return the duration as `parse_duration` reads it: "1 day 12 hours", "0" for none."""
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [_counted(duration.days, "day"), _counted(hours, "hour"), _counted(minutes, "minute")]
    if duration.microseconds:
        exact = f"{seconds}.{duration.microseconds:06d}".rstrip("0")
        parts.append(f"{exact} seconds")
    else:
        parts.append(_counted(seconds, "second"))
    return " ".join(part for part in parts if part) or "0"


def _part(number: str, word: str) -> timedelta:
    if word not in _UNIT_OF:
        raise DurationError(f"'{word}' is no unit here: write it such as {EXAMPLES}.")
    return timedelta(**{_UNIT_OF[word]: float(number)})


def _counted(number: int, unit: str) -> str:
    if not number:
        return ""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
