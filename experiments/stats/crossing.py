"""The probability that a test statistic crosses its critical value at one of several looks.

At the information fraction t, z sqrt(t) is a walk with independent normal increments. The density
of the walks that have not crossed yet is integrated from look to look: Armitage, McPherson and Rowe
(1969), Journal of the Royal Statistical Society A 132:235. The quadrature is Gauss's in panels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import ceil, pi, sqrt

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The largest critical value. z is beyond it with a probability of 1e-15.
FARTHEST = 8.0
# An increment of the information below this share of it counts as this share.
_LEAST_INCREMENT = 1e-4
_NODES = 16
# A panel is at most this many standard deviations of an increment wide.
_PANEL = 4.0
_FEWEST_PANELS = 8


@dataclass(frozen=True, eq=False)
class Position:
    """The walks without a crossing before a look, as nodes with their probabilities.

    `means` are the nodes moved by the drift, and `spread` is the standard deviation of the
    increment that leads to the look. `root` is the square root of the look's fraction.
    """

    means: Floats
    masses: Floats
    spread: float
    root: float

    def beyond(self, critical: float) -> float:
        """Return the probability that |z| exceeds the critical value first at this look."""
        return self.above(critical) + self.below(-critical)

    def above(self, critical: float) -> float:
        """Return the probability that z does so on the upper side."""
        apart = (self.means - critical * self.root) / self.spread
        return float(self.masses @ scipy.special.ndtr(apart))

    def below(self, critical: float) -> float:
        """Return the probability that z falls below this value at this look."""
        apart = (critical * self.root - self.means) / self.spread
        return float(self.masses @ scipy.special.ndtr(apart))

    def within(self, critical: float, *, finest: float) -> tuple[Floats, Floats]:
        """Return nodes and probabilities of the walks that do not cross at this look either.

        `finest` is the standard deviation of the increment that is to be integrated next.
        """
        limit = min(critical, FARTHEST) * self.root
        panels = ceil(2 * limit / (_PANEL * min(self.spread, finest)))
        nodes, weights = _quadrature(max(panels, _FEWEST_PANELS))
        apart = (limit * nodes[:, None] - self.means[None, :]) / self.spread
        density = np.exp(-apart * apart / 2) @ self.masses / (self.spread * sqrt(2 * pi))
        return limit * nodes, limit * weights * density


def walk(
    fractions: Sequence[float],
    choose: Callable[[int, Position], float],
    *,
    drift: float = 0.0,
) -> list[tuple[float, Position]]:
    """Return the critical value of each look, with the position before it.

    `choose` gets the number of the look, from 0 on, with the position, and returns the critical
    value. `drift` is the mean of z at the fraction 1. Raise ValueError for fractions that descend
    or are not above 0.
    """
    steps = [later - before for before, later in pairwise([0.0, *fractions])]
    if min(steps, default=0.0) < 0 or 0 in fractions:
        raise ValueError("The looks must be in the order of their information, which is above 0.")
    steps = [
        max(step, _LEAST_INCREMENT * fraction)
        for step, fraction in zip(steps, fractions, strict=True)
    ]
    found = []
    nodes, masses = np.zeros(1), np.ones(1)
    for number, (step, fraction) in enumerate(zip(steps, fractions, strict=True)):
        position = Position(nodes + drift * step, masses, sqrt(step), sqrt(fraction))
        critical = choose(number, position)
        found.append((critical, position))
        if number + 1 < len(steps):
            nodes, masses = position.within(critical, finest=sqrt(steps[number + 1]))
    return found


@cache
def _quadrature(panels: int) -> tuple[Floats, Floats]:
    """Return nodes and weights on -1..1, from equal panels of 16 nodes each."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    middles = (2 * np.arange(panels) + 1) / panels - 1
    return (middles[:, None] + nodes / panels).ravel(), np.tile(weights / panels, panels)
