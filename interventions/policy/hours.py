"""Quiet hours: closed hours without messages. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from common.zones import first_second

# Closed hours last less than a day, and a clock change adds at most a few hours. So hours that
# include an instant began on its local day or the day before.
_DAYS_BACK = (1, 0)


@dataclass(frozen=True)
class ClosedHours:
    """A daily range of local time. It runs over midnight if the end is before the beginning."""

    begins: time
    ends: time

    def __str__(self) -> str:
        return f"{self.begins:%H:%M} to {self.ends:%H:%M}"


def outside(opens: time, closes: time) -> ClosedHours:
    """Return the hours outside a window in which sending is allowed."""
    return ClosedHours(begins=closes, ends=opens)


def open_from(instant: datetime, closed: ClosedHours, *, zone: str) -> datetime:
    """Return the first instant at or after the given one that is outside the closed hours.

    If the clock is set back, the hours are closed from the first time it shows `begins` until the
    last time it shows `ends`, so that no message comes in the repeated hour of the night. A local
    time that is skipped counts as the instant of the clock change. Raise ValueError if `begins` and
    `ends` are equal.
    """
    if closed.begins == closed.ends:
        raise ValueError(f"The closed hours begin and end at {closed.begins:%H:%M}.")
    ends_at = _end_of_stretch(instant, closed, zone)
    # If the day is open for less time than a clock change skips, the next closed hours begin before
    # these end.
    while ends_at is not None:
        instant = ends_at
        ends_at = _end_of_stretch(instant, closed, zone)
    return instant


def _end_of_stretch(instant: datetime, closed: ClosedHours, zone: str) -> datetime | None:
    local = instant.astimezone(ZoneInfo(zone)).date()
    for days in _DAYS_BACK:
        begins_at, ends_at = _stretch(local - timedelta(days=days), closed, zone)
        if begins_at <= instant < ends_at:
            return ends_at
    return None


def _stretch(day: date, closed: ClosedHours, zone: str) -> tuple[datetime, datetime]:
    last_day = day if closed.begins < closed.ends else day + timedelta(days=1)
    begins_at = instants_of(datetime.combine(day, closed.begins), zone)[0]
    ends_at = instants_of(datetime.combine(last_day, closed.ends), zone)[-1]
    return begins_at, ends_at


def instants_of(wall: datetime, zone: str) -> tuple[datetime, ...]:
    """Return the instants of a local time: both if it is repeated, the clock change if skipped."""
    early, late = (
        wall.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)
    )
    # PEP 495: for a skipped time, fold 0 uses the offset before the change and gives an instant
    # after it. Fold 1 does the opposite.
    return (early, late) if early <= late else (first_second(late, early, zone=ZoneInfo(zone)),)
