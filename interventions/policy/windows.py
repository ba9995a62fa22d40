"""Send windows: the weekdays and the hours in which a cadence may send. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from interventions.policy.hours import ClosedHours, instants_of

# As numbered by ISO 8601: 1 is Monday.
_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEK = dict(enumerate(_NAMES, start=1))
# A window on one weekday can be skipped by a clock change, and then opens a week later.
_DAYS_AHEAD = 15
# Any week without a clock change.
_SOME_MONDAY = date(2025, 9, 1)


@dataclass(frozen=True)
class SendWindow:
    """Local hours on some weekdays. It is open all day without hours, and daily without weekdays.

    Hours that run over midnight belong to the day on which they begin.
    """

    opens: time | None = None
    closes: time | None = None
    weekdays: frozenset[int] = frozenset()


def next_opening(instant: datetime, window: SendWindow, *, zone: str) -> datetime:
    """Return the first instant at or after the given one at which the window is open.

    If the clock is set back, the window opens when the clock shows `opens` for the last time, and
    closes when it shows `closes` for the first time. A local time that is skipped counts as the
    instant of the clock change. Raise ValueError if the window never opens.
    """
    today = instant.astimezone(ZoneInfo(zone)).date()
    # Hours that began on the day before may still run.
    for days in range(-1, _DAYS_AHEAD):
        begins_at, ends_at = _stretch(today + timedelta(days=days), window, zone)
        if begins_at < ends_at and instant < ends_at:
            return max(instant, begins_at)
    raise ValueError(f"The window {window} never opens.")


def longest_wait(window: SendWindow) -> timedelta:
    """Return how long the window stays closed at most, in a week without a clock change."""
    days = (_SOME_MONDAY + timedelta(days=days) for days in range(_DAYS_AHEAD))
    stretches = (_stretch(day, window, "UTC") for day in days)
    opened = [(begins_at, ends_at) for begins_at, ends_at in stretches if begins_at < ends_at]
    return max(begins_at - ends_at for (_, ends_at), (begins_at, _) in pairwise(opened))


def lies_within(window: SendWindow, quiet: ClosedHours) -> bool:
    """Return whether quiet hours cover the window, so that nothing could ever go out."""
    if window.opens is None or window.closes is None:
        return False
    # What is left of the window after the quiet hours begins where they end, or at its beginning.
    return _is_in(window.opens, quiet.begins, quiet.ends) and not _is_in(
        quiet.ends, window.opens, window.closes
    )


def window_in_words(window: SendWindow) -> str:
    """Return the window as the end of a sentence, such as "on Monday from 09:00 until 17:00"."""
    days = [WEEK[day] for day in sorted(window.weekdays)]
    parts = [f"on {', '.join(days)}"] if days else []
    if window.opens is not None and window.closes is not None:
        parts.append(f"from {window.opens:%H:%M} until {window.closes:%H:%M}")
    return " ".join(parts) or "at any time"


def _stretch(day: date, window: SendWindow, zone: str) -> tuple[datetime, datetime]:
    """Return when the window opens and closes on the day. It closes at once on other weekdays."""
    tomorrow = day + timedelta(days=1)
    begins_at = instants_of(datetime.combine(day, window.opens or time(0)), zone)
    if window.weekdays and day.isoweekday() not in window.weekdays:
        return begins_at[0], begins_at[0]
    if window.opens is None or window.closes is None:
        # From the first midnight, because in a repeated hour after midnight it is this day already.
        return begins_at[0], instants_of(datetime.combine(tomorrow, time(0)), zone)[0]
    last_day = day if window.opens < window.closes else tomorrow
    return begins_at[-1], instants_of(datetime.combine(last_day, window.closes), zone)[0]


def _is_in(at: time, begins: time, ends: time) -> bool:
    return begins <= at < ends if begins < ends else at >= begins or at < ends
