"""Instants, local days and the type of a clock. Only `utc_now` reads the wall clock."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from common.zones import first_second

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the wall clock's instant. For tasks, commands and views; all else is given `now`."""
    return datetime.now(UTC)


def parse_instant(text: str) -> datetime:
    """Return the instant written as ISO 8601 with an offset. Raise ValueError with a sentence."""
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(
            f"'{text}' is not a time: write it like 2025-10-26T23:59:59+00:00."
        ) from None
    if instant.tzinfo is None:
        raise ValueError(f"'{text}' has no offset: add one, as in 2025-10-26T23:59:59+00:00.")
    return instant


def local_date(instant: datetime, zone: str) -> date:
    """Return the calendar date of the instant in the named zone."""
    return instant.astimezone(ZoneInfo(zone)).date()


def local_midnight(day: date, zone: str) -> datetime:
    """Return the instant, in UTC, at which the day begins in the named zone.

    The first of two midnights; where clocks skip midnight, the instant of the change.
    """
    wall = datetime.combine(day, time.min, tzinfo=ZoneInfo(zone))
    first, second = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
    # PEP 495: for a time that clocks skip, fold 0 lands behind the change and fold 1 before it.
    return first if first <= second else first_second(second, first, zone=ZoneInfo(zone))


def next_local_midnight(instant: datetime, zone: str) -> datetime:
    """Return the first local midnight after the instant, in UTC."""
    return local_midnight(local_date(instant, zone) + timedelta(days=1), zone)
