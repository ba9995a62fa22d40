"""Instants, local days and the type of a clock. Only `utc_now` reads the wall clock."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from common.zones import first_second

Clock = Callable[[], datetime]

# What can be stored. Constraints of the tables say the same (common.constraints).
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
FIRST_INSTANT, END_OF_INSTANTS = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_NO_DATE = "lies outside the years 1900 to 2199. Where there is no date, leave it out."


def utc_now() -> datetime:
    """Return the wall clock's instant. For tasks, commands and views; all else is given `now`."""
    return datetime.now(UTC)


def read_instant(value: str | datetime) -> datetime:
    """Return the instant, in UTC: ISO 8601 with an offset. Raise ValueError with a sentence.

    It lies in the years 1900 to 2199. An export that knows no date writes one of year 1 or 9999,
    which an offset moves out of what can be read back.
    """
    # A datetime takes the same way as text, which knows how to refuse one without offset.
    text = value if isinstance(value, str) else value.isoformat()
    try:
        # RFC 3339 allows the small letter too.
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
    """Return the day: a date like 2025-10-26 in the years 1900 to 2199. Raise ValueError."""
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

    The first of two midnights; where clocks skip midnight, the instant of the change.
    """
    wall = datetime.combine(day, time.min, tzinfo=ZoneInfo(zone))
    first, second = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
    # PEP 495: for a time that clocks skip, fold 0 lands behind the change and fold 1 before it.
    return first if first <= second else first_second(second, first, zone=ZoneInfo(zone))


def next_local_midnight(instant: datetime, zone: str) -> datetime:
    """Return the first local midnight after the instant, in UTC."""
    return local_midnight(local_date(instant, zone) + timedelta(days=1), zone)
