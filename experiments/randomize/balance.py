"""How evenly the arms share the strata, after a draw. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf, nan, sqrt

import numpy as np
import scipy

# Pearson's test is too far from exact with smaller expected counts (Cochran 1954).
_LEAST_EXPECTED = 5.0
TOO_SMALL = "too few learners for a test: a stratum and arm with fewer than 5 expected"
ONE_STRATUM = "all learners are in one stratum"
ONE_ARM = "all learners are in one arm"
NOBODY = "nobody is drawn yet"


@dataclass(frozen=True)
class StratumBalance:
    """The number of learners of one stratum in each arm, by the order of the arms.

    `difference` is the largest standardized difference between two arms in the share of this
    stratum. Austin (2009), Statistics in Medicine 28; above 0.1 it is often called an imbalance.
    """

    stratum: str
    counts: tuple[int, ...]
    difference: float


@dataclass(frozen=True)
class DrawBalance:
    """The sizes of the arms by stratum, and Pearson's test that arm and stratum are independent.

    Without a test, the numbers are nan and there is a `reason`.
    """

    arms: tuple[str, ...]
    strata: tuple[StratumBalance, ...]
    statistic: float
    df: int
    p_value: float
    reason: str = ""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the number of learners in each arm."""
        return tuple(sum(each.counts[arm] for each in self.strata) for arm in range(len(self.arms)))


def draw_balance(counts: Mapping[str, Mapping[str, int]], *, arms: Sequence[str]) -> DrawBalance:
    """Return the balance of a draw, from the number of learners by stratum and arm."""
    strata = sorted(counts)
    table = np.array([[counts[s].get(arm, 0) for arm in arms] for s in strata], dtype=float)
    table = table.reshape(len(strata), len(arms))
    rows = tuple(
        StratumBalance(stratum, tuple(map(int, row)), _difference(row, table.sum(axis=0)))
        for stratum, row in zip(strata, table, strict=True)
    )
    statistic, df, p_value, reason = _independence(table)
    return DrawBalance(tuple(arms), rows, statistic, df, p_value, reason)


def _independence(table: np.ndarray) -> tuple[float, int, float, str]:
    used = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    df = (used.shape[0] - 1) * (used.shape[1] - 1)
    if not used.size:
        return nan, 0, nan, NOBODY
    if df == 0:
        return nan, 0, nan, ONE_STRATUM if used.shape[0] == 1 else ONE_ARM
    expected = np.outer(used.sum(axis=1), used.sum(axis=0)) / used.sum()
    if expected.min() < _LEAST_EXPECTED:
        return nan, df, nan, TOO_SMALL
    statistic = float(((used - expected) ** 2 / expected).sum())
    return statistic, df, float(scipy.special.chdtrc(df, statistic)), ""


def _difference(row: np.ndarray, sizes: np.ndarray) -> float:
    """Return the largest standardized difference in the share of the row; nan with one arm."""
    shares = [float(count / size) for count, size in zip(row, sizes, strict=True) if size > 0]
    return max((_standardized(one, two) for one, two in combinations(shares, 2)), default=nan)


def _standardized(one: float, two: float) -> float:
    if one == two:
        return 0.0
    spread = sqrt((one * (1 - one) + two * (1 - two)) / 2)
    return abs(one - two) / spread if spread else inf
