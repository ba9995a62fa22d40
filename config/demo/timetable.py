"""At which instants the demo's clock stops to let the stages work. No database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

# Of every length between two stops this is the longest. Counted in hours that pass, not in hours
# that clocks show: on the day with 25 hours the local grid would leave seven between two stops.
LONGEST = timedelta(hours=6)
HOUR = timedelta(hours=1)


def grid(begins_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    """Yield the stops of every six hours from the beginning, and the end."""
    at = begins_at
    while at < ends_at:
        yield at
        at += LONGEST
    yield ends_at


def stop_before(wanted: datetime | None, *, now: datetime, stop: datetime) -> datetime | None:
    """Return a whole hour at which to stop on the way because something wants it; None for none."""
    if wanted is None:
        return None
    # On whole hours, so that a thousand messages of one morning are one stop.
    early = max(_whole_hour(wanted), _whole_hour(now + timedelta(microseconds=1)))
    return early if early < stop else None


def _whole_hour(instant: datetime) -> datetime:
    """Return the instant, or else the next whole hour of UTC."""
    floor = instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return floor if floor == instant else floor + HOUR
