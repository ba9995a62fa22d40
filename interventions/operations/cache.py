"""The cache of a dispatch loop: limits, texts and shared rows, kept between learners."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from interventions.channels import Channel
from interventions.models import ChannelPace
from interventions.operations.pace import paces
from interventions.queries.catalogue import Catalogue
from interventions.queries.limits import Limits, read_limits
from interventions.queries.texts import TextCache
from segmentation.queries import reads_log

# New caps, a paused cadence and a course taken offline take effect within this time.
SECONDS_TO_KEEP = 1.0


@dataclass
class DispatchCache:
    """One loop's cache, with its channels by name."""

    channels: Mapping[str, Channel]
    texts: TextCache = field(default_factory=TextCache)
    catalogue: Catalogue = field(default_factory=Catalogue)
    limits: Limits = field(default_factory=read_limits)
    reads_log: bool = field(default_factory=reads_log)
    _paces: Mapping[str, ChannelPace] | None = None
    _read_at: float = field(default_factory=time.monotonic)

    @property
    def paces(self) -> Mapping[str, ChannelPace]:
        """Return the rows of channels that do not go at full pace, read when first needed."""
        if self._paces is None:
            self._paces = paces(self.channels)
        return self._paces

    def refresh(self) -> None:
        """Read settings of admins again if they are more than a second old."""
        if time.monotonic() - self._read_at > SECONDS_TO_KEEP:
            self.catalogue, self.limits = Catalogue(), read_limits()
            self.reads_log = reads_log()
            self._paces = None
            self._read_at = time.monotonic()
