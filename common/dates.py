"""Instants and days in words, in the zone of a course. Pure."""

from datetime import datetime
from zoneinfo import ZoneInfo


def day_text(instant: datetime, *, zone: str) -> str:
    """Return the day of the instant in the zone: `Monday 3 November 2025`."""
    return f"{instant.astimezone(ZoneInfo(zone)):%A %-d %B %Y}"


def instant_text(instant: datetime, *, zone: str) -> str:
    """Return the instant in the zone: `Monday 3 November 2025, 08:00 (Europe/Brussels)`."""
    return f"{instant.astimezone(ZoneInfo(zone)):%A %-d %B %Y, %H:%M} ({zone})"
