"""Instants and days in words, in the zone of a course. Pure."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def day_text(instant: datetime, *, zone: str) -> str:
    """Return the day of the instant in the zone: `Monday 3 November 2025`."""
    return f"{in_zone(instant, zone)[0]:%A %-d %B %Y}"


def iso_day_text(day: str) -> str:
    """Return the day of an ISO date for a plot: `3 Nov 2025`."""
    return f"{date.fromisoformat(day):%-d %b %Y}"


def instant_text(instant: datetime, *, zone: str) -> str:
    """Return the instant in the zone: `Monday 3 November 2025, 08:00 (Europe/Brussels)`.

    In the hour that a clock change repeats, the time has its abbreviation too: `01:30 GMT`.
    """
    local, name = in_zone(instant, zone)
    which = f" {local:%Z}" if _is_repeated(local) else ""
    return f"{local:%A %-d %B %Y, %H:%M}{which} ({name})"


def _is_repeated(local: datetime) -> bool:
    return local.replace(fold=1 - local.fold).utcoffset() != local.utcoffset()


def in_zone(instant: datetime, zone: str) -> tuple[datetime, str]:
    """Return the instant in the zone, and the zone's name.

    A newer tzdata may have dropped the name. Then the instant is in UTC, and a page still opens.
    """
    try:
        return instant.astimezone(ZoneInfo(zone)), zone
    except ZoneInfoNotFoundError:
        return instant.astimezone(UTC), "UTC"
