"""What a dispatch loop keeps at hand between learners: limits, texts, and the open channels."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from interventions.outgoing import Outgoing
from interventions.queries.limits import Limits, read_limits
from interventions.queries.texts import TextShelf

# An admin who sets a cap or quiet hours has them obeyed within this time.
SECONDS_TO_KEEP_LIMITS = 1.0


@dataclass
class Desk:
    """One loop's desk. `prepare` turns a message into what its channel sends, by channel."""

    prepare: Mapping[str, Callable[[Outgoing], Any]]
    shelf: TextShelf = field(default_factory=TextShelf)
    _limits: Limits | None = None
    _read_at: float = 0.0

    @property
    def limits(self) -> Limits:
        """Return the limits in force, read again when they are more than a second old."""
        if self._limits is None or time.monotonic() - self._read_at > SECONDS_TO_KEEP_LIMITS:
            self._limits, self._read_at = read_limits(), time.monotonic()
        return self._limits
