"""Hours at which nobody is messaged: quiet hours, and what lies outside a send window. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from common.zones import first_second

# A closed stretch lasts less than a day, and a clock change adds at most a few hours to it, so one
# that holds at an instant began on its local day or the day before.
_DAYS_BACK = (1, 0)


@dataclass(frozen=True)
class ClosedHours:
    """A daily stretch of local time; over midnight where it ends before it begins."""

    begins: time
    ends: time


def outside(opens: time, closes: time) -> ClosedHours:
    """Return what lies outside a window in which sending is allowed."""
    return ClosedHours(begins=closes, ends=opens)


def open_from(instant: datetime, closed: ClosedHours, *, zone: str) -> datetime:
    """Return the first instant at or after the given one that is not in the closed hours.

    When the clock is set back, the hours are closed from the first time it shows `begins` to the
    last time it shows `ends`: a learner must not be woken in the hour that the night has twice.
    A time that a change skips counts as the instant of the change. Raise ValueError for hours that
    end when they begin.
    """
    if closed.begins == closed.ends:
        raise ValueError(f"The closed hours begin and end at {closed.begins:%H:%M}.")
    ends_at = _end_of_stretch(instant, closed, zone)
    # With hours that leave less of the day open than the clock change takes away, the next
    # stretch begins before this one ends.
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
    begins_at = _instants(datetime.combine(day, closed.begins), zone)[0]
    ends_at = _instants(datetime.combine(last_day, closed.ends), zone)[-1]
    return begins_at, ends_at


def _instants(wall: datetime, zone: str) -> tuple[datetime, ...]:
    """Return when a clock on the wall shows this: the two ends; if it never does, the change."""
    early, late = (
        wall.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)
    )
    # PEP 495: for a skipped time, fold 0 uses the offset before the change and lands after it,
    # fold 1 the other way round.
    return (early, late) if early <= late else (first_second(late, early, zone=ZoneInfo(zone)),)
