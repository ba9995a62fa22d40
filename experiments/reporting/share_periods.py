"""The periods of an adaptive draw, and what adapting cost. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import sqrt

from experiments.stats.balance import SampleRatio


@dataclass(frozen=True)
class Period:
    """The shares by arm from one draw on, until the next period, and the learners drawn by them.

    `key` names the period in the outcomes, and `position` is the number of its first draw.
    """

    key: str
    position: int
    at: datetime
    shares: Mapping[str, float]
    drawn: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Adaptive:
    """The periods, the test of the sizes of the counted arms, and the precision that is left.

    `precision` is by arm, relative to the same counted `learners` drawn in equal shares.
    """

    periods: tuple[Period, ...]
    counted: SampleRatio
    learners: int
    precision: Mapping[str, float]

    def width(self, arm: str) -> float | None:
        """Return the width of the arm's interval relative to equal shares; None if unknown."""
        precision = self.precision.get(arm, 0.0)
        return 1 / sqrt(precision) if precision > 0 else None
