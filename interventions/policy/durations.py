"""Durations as people write them: "3 days", "1 day 12 hours", "90 min". Pure.

A number without a unit is refused: a person who types 3 means days, and would get seconds. Days are
local days, which keep the time of day at a clock change. Hours are exact.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from common.zones import first_second

EXAMPLES = "2 h, 90 min, 3 days, 1 day 12 hours"
# Longer durations could lead past the end of the calendar, and nobody plans that far.
LONGEST = timedelta(days=3650)
MAX_TEXT = 80
END_OF_CALENDAR = datetime(9999, 12, 30, tzinfo=UTC)

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
_LATER = re.compile(r"\s*(?:later|after)$")
_AT_ONCE = frozenset({"", "at once", "immediately", "now", "right away"})
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def later(start: datetime, duration: timedelta, *, zone: str) -> datetime:
    """Return the instant, in UTC, a duration after the start. Days follow the zone's calendar.

    "7 days" after 9:00 is 9:00, even if the clocks change in between. A local time that occurs
    twice means its first occurrence. A skipped local time means the instant of the clock change.
    An instant past the end of the calendar becomes the calendar's last day.
    """
    rest = duration - timedelta(days=duration.days)
    if not duration.days:
        return start.astimezone(UTC) + rest
    there = ZoneInfo(zone)
    try:
        wall = start.astimezone(there).replace(tzinfo=None) + timedelta(days=duration.days)
        return _instant_of(wall, there) + rest
    except OverflowError:
        return END_OF_CALENDAR


def _instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    # PEP 495: for a skipped time, fold 0 gives an instant after the change and fold 1 one before.
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first if first <= second else first_second(second, first, zone=zone)


class DurationError(ValueError):
    """The text is not a duration. The message is a sentence for its author."""


def parse_duration(text: str) -> timedelta:
    """Return the duration of the text. "0" is zero. Raise DurationError with examples."""
    words = text.strip().lower()
    if words == "0":
        return timedelta(0)
    if _NUMBER.fullmatch(words):
        raise DurationError(f"Write {words} with a unit, such as {EXAMPLES}.")
    if len(words) > MAX_TEXT or not _WHOLE.fullmatch(words):
        raise DurationError(f"This is not a duration. Write it like {EXAMPLES}, or 0.")
    duration = sum((_part(*found) for found in re.findall(_PART, words)), timedelta(0))
    if duration > LONGEST:
        raise DurationError(f"This is longer than {duration_in_words(LONGEST)}.")
    return duration


def parse_delay(text: str) -> timedelta:
    """Return the delay of the text, such as "at once" or "2 days later". Raise DurationError."""
    words = _LATER.sub("", text.strip().lower())
    return timedelta(0) if words in _AT_ONCE else parse_duration(words)


def delay_in_words(delay: timedelta) -> str:
    """Return the delay as text for `parse_delay`, such as "at once" or "2 days later"."""
    return f"{duration_in_words(delay)} later" if delay else "at once"


def duration_in_words(duration: timedelta) -> str:
    """Return the duration as text for `parse_duration`, such as "1 day 12 hours" or "0"."""
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
        raise DurationError(f"'{word}' is not a unit of time. Write a duration like {EXAMPLES}.")
    return timedelta(**{_UNIT_OF[word]: float(number)})


def _counted(number: int, unit: str) -> str:
    if not number:
        return ""
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
