"""Instants, local days and the type of a clock. Only `utc_now` reads the wall clock."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from common.zones import first_second

Clock = Callable[[], datetime]

# The range that can be stored. Constraints of the tables enforce the same (common.constraints).
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
FIRST_INSTANT, END_OF_INSTANTS = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_NO_DATE = "is outside the years 1900 to 2199. If there is no date, give none."


def utc_now() -> datetime:
    """Return the current instant. Only tasks, commands and views call it; others get `now`."""
    return datetime.now(UTC)


def read_instant(value: str | datetime) -> datetime:
    """Return the instant of an ISO 8601 text with an offset, in UTC. Raise ValueError.

    The instant must be in the years 1900 to 2199. Some exports write a date of year 1 or 9999 for a
    missing date. With an offset, such a date can be outside the range that Python can read.
    """
    # A datetime is checked as text too, so that one without an offset is refused.
    text = value if isinstance(value, str) else value.isoformat()
    try:
        # RFC 3339 also allows a lower-case z.
        instant = datetime.fromisoformat(f"{text[:-1]}Z" if text.endswith("z") else text)
    except ValueError:
        raise ValueError(
            f"'{text}' is not a time: write it like 2025-10-26T23:59:59+00:00."
        ) from None
    if instant.tzinfo is None:
        raise ValueError(f"'{text}' has no offset: add one, as in 2025-10-26T23:59:59+00:00.")
    if not FIRST_INSTANT <= instant < END_OF_INSTANTS:
        raise ValueError(f"'{text}' {_NO_DATE}")
    return instant.astimezone(UTC)


def read_day(value: str | date) -> date:
    """Return the day of a text like 2025-10-26, in the years 1900 to 2199. Raise ValueError."""
    text = value if isinstance(value, str) else value.isoformat()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a date: write it like 2025-10-26.") from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"'{text}' {_NO_DATE}")
    return day


def local_date(instant: datetime, zone: str) -> date:
    """Return the calendar date of the instant in the named zone."""
    return instant.astimezone(ZoneInfo(zone)).date()


def local_midnight(day: date, zone: str) -> datetime:
    """Return the instant, in UTC, at which the day begins in the named zone.

    If there are two midnights, return the first. If clocks skip midnight, return the instant of the
    change.
    """
    wall = datetime.combine(day, time.min, tzinfo=ZoneInfo(zone))
    first, second = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
    # PEP 495: for a time that clocks skip, fold 0 is after the change and fold 1 is before it.
    return first if first <= second else first_second(second, first, zone=ZoneInfo(zone))


def begin_of_days(number: int, *, as_of: datetime, zone: str) -> datetime:
    """Return the instant at which the last `number` local days begin. That of `as_of` is one."""
    return local_midnight(local_date(as_of, zone) - timedelta(days=number - 1), zone)


def next_local_midnight(instant: datetime, zone: str) -> datetime:
    """Return the first local midnight after the instant, in UTC."""
    return local_midnight(local_date(instant, zone) + timedelta(days=1), zone)
