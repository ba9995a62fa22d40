"""The events of the demo in the order of their arrival. No database."""

import heapq
from collections.abc import Iterator
from datetime import datetime
from itertools import count

from activity.simulation.history import Event
from activity.simulation.world import World


class Feed:
    """Gives each event once, as soon as its instant has come."""

    def __init__(self, world: World) -> None:
        self._drawn = world.events()
        self._next = next(self._drawn, None)
        self._added: list[tuple[datetime, int, Event]] = []
        self._numbers = count()

    def add(self, event: Event) -> None:
        """Add an event that is not in the simulated world."""
        heapq.heappush(self._added, (event["occurred_at"], next(self._numbers), event))

    def until(self, now: datetime) -> list[Event]:
        """Return what occurred up to now and was not returned before."""
        return [*self._drawn_until(now), *self._added_until(now)]

    def _drawn_until(self, now: datetime) -> Iterator[Event]:
        while self._next is not None and self._next["occurred_at"] <= now:
            yield self._next
            self._next = next(self._drawn, None)

    def _added_until(self, now: datetime) -> Iterator[Event]:
        while self._added and self._added[0][0] <= now:
            yield heapq.heappop(self._added)[2]
