"""At which instants the demo's clock stops to let the stages work. No database."""

from collections.abc import Iterator
from datetime import datetime, timedelta

# Counted in hours that pass, not in hours that clocks show: on the day with 25 hours the local
# grid would leave seven between two stops. The third is for what waited for the quiet hours' end.
HOURS_OF_A_DAY = (0, 6, 9, 12, 18)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def stops(begins_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    """Yield the stops from the beginning on, never more than six hours apart, and the end."""
    day = begins_at
    while day < ends_at:
        yield from (at for hour in HOURS_OF_A_DAY if (at := day + hour * HOUR) < ends_at)
        day += DAY
    yield ends_at
