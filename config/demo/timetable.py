"""The instants at which the demo's clock stops and the stages run. No database."""

from collections.abc import Iterator
from datetime import datetime, timedelta

# In elapsed hours, not in local time: on the day with 25 hours two local times would be seven hours
# apart.
LONGEST_WAIT = timedelta(hours=6)


def stops(begins_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    """Yield the stops from the beginning to the end, at most LONGEST_WAIT apart."""
    at = begins_at
    while at < ends_at:
        yield at
        at += LONGEST_WAIT
    yield ends_at
