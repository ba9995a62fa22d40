"""At which instants the demo's clock stops to let the stages work. No database."""

from collections.abc import Iterator
from datetime import datetime, timedelta

# Counted in hours that pass, not in hours that clocks show: on the day with 25 hours the local
# grid would leave seven between two stops.
LONGEST_WAIT = timedelta(hours=6)


def stops(begins_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    """Yield the stops from the beginning on, never more than LONGEST_WAIT apart, and the end."""
    at = begins_at
    while at < ends_at:
        yield at
        at += LONGEST_WAIT
    yield ends_at
