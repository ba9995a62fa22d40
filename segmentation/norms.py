"""A course's norms on one day: what is usual there, to measure a learner against. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class NormsValues:
    """Median seconds from first touch to completion by module, and the sorted relative paces."""

    module_medians: Mapping[int, float] = field(default_factory=dict)
    paces: Sequence[float] = field(default_factory=list)


# For readings in which no signal asks for norms: computing them would be a scan for nothing.
NO_NORMS = NormsValues()
