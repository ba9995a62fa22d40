"""Read the header Retry-After of a receiver that asks to be left alone."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# A receiver that asks for a month would get nothing until all messages have expired.
LONGEST_WAIT = timedelta(hours=6)


def retry_after(header: str, *, now: datetime) -> timedelta | None:
    """Return the wait in the header, in seconds or as a date; None if there is none."""
    given = header.strip()
    try:
        wait = timedelta(seconds=int(given)) if _is_number(given) else _until(given, now)
    except OverflowError:
        wait = LONGEST_WAIT
    except (TypeError, ValueError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_WAIT)


def _is_number(given: str) -> bool:
    return given.isascii() and given.isdecimal() and len(given) < 20


def _until(given: str, now: datetime) -> timedelta:
    at = parsedate_to_datetime(given)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
