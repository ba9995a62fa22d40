"""The possible tables of two arms, and the probability of some of them at the worst rates.

If there are many possible tables, only rates inside a confidence region of 1 - 1e-6 are searched,
and 1e-6 is added: Berger and Boos (1994), Journal of the American Statistical Association 89:1012.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt

import numpy as np
import numpy.typing as npt
import scipy

from experiments.stats.score import difference_statistic
from experiments.stats.sufficient import Counts

Floats = npt.NDArray[np.float64]
# If there are more possible tables than this, only those of plausible rates are used.
_ALL_TABLES = 20_000
# With more tables than this, the test would take minutes.
_MOST_TABLES = 1_000_000
_REGION = 1e-6
_NEGLIGIBLE = 1e-12
_STEP = 1e-6
# The distance from no effect up to which Fisher's order counts, in standard errors of two rates of
# one half.
_REACH = 0.25
_POINTS, _FINE_POINTS, _ROUNDS = 64, 17, 3


@dataclass(frozen=True)
class Region:
    """The rates that are searched: a range per arm, and the probability of the rest."""

    low0: float = 0.0
    high0: float = 1.0
    low1: float = 0.0
    high1: float = 1.0
    outside: float = 0.0

    def difference_line(self, d: float) -> "Line":
        """Return the pairs of rates in the region that differ by d."""
        start, end = max(self.low0, self.low1 - d), min(self.high0, self.high1 - d)
        return Line(start, start + d, end, end + d)

    def ratio_line(self, s: float) -> "Line":
        """Return the pairs of rates in the region whose ratio is s / (1 - s)."""
        start = max(_divided(self.low0, 1 - s, 0.0), _divided(self.low1, s, 0.0))
        end = min(_divided(self.high0, 1 - s, np.inf), _divided(self.high1, s, np.inf))
        return Line(start * (1 - s), start * s, end * (1 - s), end * s)


@dataclass(frozen=True)
class Line:
    """The pairs of rates that a hypothesis allows: a straight line between two pairs."""

    start0: float
    start1: float
    end0: float
    end1: float

    @property
    def is_empty(self) -> bool:
        """Return whether the region contains no such pair."""
        return self.start0 > self.end0 or self.start1 > self.end1

    def rates(self, share: Floats) -> tuple[Floats, Floats]:
        """Return the control's and the treatment's rates at these positions on the line, 0..1."""
        rate0 = self.start0 + (self.end0 - self.start0) * share
        rate1 = self.start1 + (self.end1 - self.start1) * share
        return np.clip(rate0, 0.0, 1.0), np.clip(rate1, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Tables:
    """All tables in use: one row per control count, one column per treatment count."""

    n0: int
    n1: int
    x0: Floats
    x1: Floats
    # Fisher's p-value as a normal quantile minus the score statistic, and the distance from no
    # effect up to which this difference counts.
    beyond_score: Floats
    reach: float
    seen: tuple[int, int]
    region: Region

    def greatest_chance(self, members: npt.NDArray[np.bool_], line: Line) -> float:
        """Return the probability of the marked tables at the worst pair of rates on the line."""
        if line.is_empty:
            return self.region.outside
        # Points are densest at both ends, where the variance of a rate is smallest.
        shares = np.square(np.sin(np.linspace(0, np.pi / 2, _POINTS)))
        marked, best = members.astype(np.float64), 0.0
        for _ in range(_ROUNDS):
            chances = self._chances(marked, *line.rates(shares))
            at = int(np.argmax(chances))
            best = max(best, float(chances[at]))
            ends = shares[max(at - 1, 0)], shares[min(at + 1, shares.size - 1)]
            shares = np.linspace(*ends, _FINE_POINTS)
        return best + self.region.outside

    def _chances(self, marked: Floats, rate0: Floats, rate1: Floats) -> Floats:
        weights0 = binomial(self.x0, self.n0, rate0)
        weights1 = binomial(self.x1, self.n1, rate1)
        found: Floats = np.einsum("ij,ij->i", weights0 @ marked, weights1)
        return found


def is_countable(n0: int, n1: int) -> bool:
    """Return whether arms of these sizes have so few tables that all of them are counted."""
    return (n0 + 1) * (n1 + 1) <= _ALL_TABLES


def is_computable(control: Counts, treatment: Counts) -> bool:
    """Return whether there are few enough tables to compute the test."""
    region = _region(control, treatment)
    first = _window(control.n, region.low0, region.high0)
    return first.size * _window(treatment.n, region.low1, region.high1).size <= _MOST_TABLES


@lru_cache(maxsize=32)
def tables_of(control: Counts, treatment: Counts) -> Tables:
    region = _region(control, treatment)
    x0 = _window(control.n, region.low0, region.high0)
    x1 = _window(treatment.n, region.low1, region.high1)
    score = difference_statistic(control.n, treatment.n, x0[:, None], x1[None, :], 0.0)
    fisher = _fisher_quantiles(control.n, treatment.n, x0, x1)
    reach = _REACH * sqrt(0.25 / control.n + 0.25 / treatment.n)
    seen = (control.successes - int(x0[0]), treatment.successes - int(x1[0]))
    return Tables(control.n, treatment.n, x0, x1, fisher - score, reach, seen, region)


def _region(control: Counts, treatment: Counts) -> Region:
    if is_countable(control.n, treatment.n):
        return Region()
    # The limits of Clopper and Pearson, with half of the outside probability per arm.
    return Region(*_exact_limits(control), *_exact_limits(treatment), outside=_REGION)


def _exact_limits(counts: Counts) -> tuple[float, float]:
    x, n, tail = counts.successes, counts.n, _REGION / 4
    return (
        float(scipy.special.betaincinv(x, n - x + 1, tail)) if x else 0.0,
        float(scipy.special.betaincinv(x + 1, n - x, 1 - tail)) if x < n else 1.0,
    )


def _window(n: int, low: float, high: float) -> Floats:
    """Return the counts that an arm can plausibly have with a rate in this range."""
    # By Bernstein's inequality, a count is beyond an end with a probability below _NEGLIGIBLE.
    room = -log(_NEGLIGIBLE)
    start = n * low - sqrt(2 * n * low * (1 - low) * room) - room
    end = n * high + sqrt(2 * n * high * (1 - high) * room) + room
    return np.arange(max(int(start), 0), min(int(end) + 1, n) + 1, dtype=np.float64)


def _fisher_quantiles(n0: int, n1: int, x0: Floats, x1: Floats) -> Floats:
    """Return for each table Fisher's one-sided p-value in its direction, as a signed quantile.

    Fisher (1935), Journal of the Royal Statistical Society 98:39.
    """
    apart = x1[None, :] * n0 - x0[:, None] * n1
    more = _tail_sums(n0, n1, x0, x1)
    fewer = _tail_sums(n1, n0, x1, x0).T
    p_values = np.clip(np.where(apart > 0, more, fewer), 1e-300, 1.0)
    # Above one half the quantile would change its sign, so only the order is kept there.
    quantiles = np.where(
        p_values < 0.5, _STEP - scipy.special.ndtri(p_values), 2 * _STEP * (1 - p_values)
    )
    found: Floats = np.sign(apart) * quantiles
    return found


def _tail_sums(n0: int, n1: int, x0: Floats, x1: Floats) -> Floats:
    """Return for each table the hypergeometric probability of its second count or more."""
    # Tables with the same total lie on a diagonal, so each sum is its own table plus the next sum.
    # The probabilities outside the window are negligible.
    wide = np.arange(x1[0], min(n1, x1[-1] + x0.size - 1) + 1)
    logs = _log_choose(n0, x0)[:, None] + _log_choose(n1, wide)[None, :]
    sums: Floats = np.exp(logs - _log_choose(n0 + n1, x0[:, None] + wide[None, :]))
    if x0.size <= wide.size:
        for row in range(1, x0.size):
            sums[row, :-1] += sums[row - 1, 1:]
    else:
        for column in range(wide.size - 2, -1, -1):
            sums[1:, column] += sums[:-1, column + 1]
    return sums[:, : x1.size]


def binomial(counts: Floats, n: int, rates: Floats) -> Floats:
    """Return the probability of each of consecutive counts (columns) at each rate (rows)."""
    inside = np.clip(rates, 1e-300, 1 - 1e-16)
    logs = np.outer(np.log(inside), counts) + np.outer(np.log1p(-inside), n - counts)
    found: Floats = np.exp(logs + _log_choices(n, int(counts[0]), counts.size))
    return found


@lru_cache(maxsize=64)
def _log_choices(n: int, first: int, number: int) -> Floats:
    return _log_choose(n, np.arange(first, first + number, dtype=np.float64))


def _log_choose(n: int, counts: Floats) -> Floats:
    found: Floats = (
        scipy.special.gammaln(n + 1)
        - scipy.special.gammaln(counts + 1)
        - scipy.special.gammaln(n - counts + 1)
    )
    return found


def _divided(value: float, by: float, otherwise: float) -> float:
    return value / by if by else otherwise
