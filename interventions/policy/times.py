"""Times of day as people write them: "9pm", "21:00", "9.30 am". Pure."""

import re
from datetime import time

TIME_EXAMPLES = "21:00, 9pm, 9.30 am"

_HALVES = {"am": 0, "pm": 12}
_NAMED = {"noon": time(12), "midday": time(12), "midnight": time(0)}
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?:\s*[:.h]\s*(?P<minute>\d{2})?)?\s*(?P<half>[ap])?\.?(?:m\.?)?", re.ASCII
)
_BARE = re.compile(r"\d+", re.ASCII)


class TimeOfDayError(ValueError):
    """The text is not a time of day. The message is a sentence for its author."""


def parse_time(text: str) -> time:
    """Return the time of day of the text. Raise TimeOfDayError with examples."""
    words = " ".join(text.lower().split())
    if words in _NAMED:
        return _NAMED[words]
    if _BARE.fullmatch(words):
        # 9 could be the morning or the evening.
        raise TimeOfDayError(f"Write {words[:10]} as a time of day, such as {TIME_EXAMPLES}.")
    found = _CLOCK.fullmatch(words)
    if found is None:
        raise TimeOfDayError(f"This is not a time of day. Write it like {TIME_EXAMPLES}.")
    return _time(int(found["hour"]), int(found["minute"] or 0), found["half"])


def _time(hour: int, minute: int, half: str | None) -> time:
    if half is not None and not 1 <= hour <= 12:
        raise TimeOfDayError(f"There is no {hour} o'clock {half}m. Write it like {TIME_EXAMPLES}.")
    if half is not None:
        hour = hour % 12 + _HALVES[f"{half}m"]
    if hour > 23 or minute > 59:
        raise TimeOfDayError(f"A day has no {hour}:{minute:02}. Write a time like {TIME_EXAMPLES}.")
    return time(hour, minute)
