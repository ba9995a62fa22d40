"""Boschloo's exact unconditional test of two rates, and the limits found by inverting it.

Tables are ordered by their distance from the hypothesis. For "no difference" the order is the
one-sided p-value of Fisher's exact test, which makes it Boschloo's test. For any other difference
or ratio it is the score statistic of that hypothesis; near "no difference" the two orders blend.
The p-value is the probability of a table at least as far out, at the worst pair of rates that the
hypothesis allows. A limit is the value at which that probability is (1 - level) / 2. Boschloo's
test decides on which side of "no difference" a limit lies, so test and limits always agree.

Boschloo (1970), Statistica Neerlandica 24:1. Exact limits from two one-sided tests ordered by the
score: Chan and Zhang (1999), Biometrics 55:1202. If there are many possible tables, only rates
inside a confidence region of 1 - 1e-6 are searched, and 1e-6 is added: Berger and Boos (1994),
Journal of the American Statistical Association 89:1012.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt

import numpy as np
import numpy.typing as npt
import scipy

from experiments.stats.limits import turning_point
from experiments.stats.score import DIFFERENCE, RATIO, Scale, difference_statistic, ratio_of
from experiments.stats.sufficient import Counts

Floats = npt.NDArray[np.float64]

# If there are more possible tables than this, only those of plausible rates are used.
_ALL_TABLES = 20_000
# With more tables than this, the test would take minutes.
_MOST_TABLES = 1_000_000
_REGION = 1e-6
_NEGLIGIBLE = 1e-12
# Equally extreme tables can differ by rounding.
_TIE = 1e-8
_STEP = 1e-6
# The distance from no effect up to which Fisher's order counts, in standard errors of two rates of
# one half.
_REACH = 0.25
_POINTS, _FINE_POINTS, _ROUNDS = 64, 17, 3
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class _Region:
    """The rates that are searched: a range per arm, and the probability of the rest."""

    low0: float = 0.0
    high0: float = 1.0
    low1: float = 0.0
    high1: float = 1.0
    outside: float = 0.0

    def difference_line(self, d: float) -> "_Line":
        """Return the pairs of rates in the region that differ by d."""
        start, end = max(self.low0, self.low1 - d), min(self.high0, self.high1 - d)
        return _Line(start, start + d, end, end + d)

    def ratio_line(self, s: float) -> "_Line":
        """Return the pairs of rates in the region whose ratio is s / (1 - s)."""
        start = max(_divided(self.low0, 1 - s, 0.0), _divided(self.low1, s, 0.0))
        end = min(_divided(self.high0, 1 - s, np.inf), _divided(self.high1, s, np.inf))
        return _Line(start * (1 - s), start * s, end * (1 - s), end * s)


@dataclass(frozen=True)
class _Line:
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
class _Tables:
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
    region: _Region

    def greatest_chance(self, members: npt.NDArray[np.bool_], line: _Line) -> float:
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
        weights0 = _binomial(self.x0, self.n0, rate0)
        weights1 = _binomial(self.x1, self.n1, rate1)
        found: Floats = np.einsum("ij,ij->i", weights0 @ marked, weights1)
        return found


@dataclass(frozen=True)
class _Kind:
    """A way to compare two rates, and the pairs of rates that each value of it allows."""

    scale: Scale
    line: Callable[[_Region, float], _Line]


_DIFFERENCE = _Kind(DIFFERENCE, _Region.difference_line)
_RATIO = _Kind(RATIO, _Region.ratio_line)


def is_computable(control: Counts, treatment: Counts) -> bool:
    """Return whether there are few enough tables to compute the test."""
    region = _region(control, treatment)
    first = _window(control.n, region.low0, region.high0)
    return first.size * _window(treatment.n, region.low1, region.high1).size <= _MOST_TABLES


@lru_cache(maxsize=512)
def boschloo_p_value(control: Counts, treatment: Counts) -> float:
    """Return the two-sided p-value: twice the smaller of the one-sided ones, at most 1.

    Neither arm may be empty. It agrees with `scipy.stats.boschloo_exact`, whose search may stop
    below the worst rate (by up to 3 % with its argument n = 8).
    """
    tables = _tables(control, treatment)
    more, less = (_one_sided(tables, _DIFFERENCE, 0.0, side=side) for side in (1, -1))
    return min(1.0, 2 * min(more, less))


@lru_cache(maxsize=512)
def boschloo_difference_limits(
    control: Counts, treatment: Counts, *, level: float
) -> tuple[float, float]:
    """Return the limits (-1..1) of treatment rate minus control rate by the inverted test."""
    return _limits(control, treatment, _DIFFERENCE, treatment.rate - control.rate, level)


@lru_cache(maxsize=512)
def boschloo_ratio_limits(
    control: Counts, treatment: Counts, *, level: float
) -> tuple[float, float]:
    """Return the limits (0..infinity) of treatment rate / control rate by the inverted test.

    A control rate of 0 raises ZeroDivisionError.
    """
    value = treatment.rate / (treatment.rate + control.rate)
    low, high = _limits(control, treatment, _RATIO, value, level)
    return ratio_of(low), ratio_of(high)


def is_countable(n0: int, n1: int) -> bool:
    """Return whether arms of these sizes have so few tables that all of them are counted."""
    return (n0 + 1) * (n1 + 1) <= _ALL_TABLES


def chance_of_rise(n0: int, n1: int, rate0: float, rate1: float, *, level: float) -> float:
    """Return the probability (0..1) that the test finds a higher rate in the treatment.

    It is the sum over all tables, so `is_countable` must be true. The rates are the true ones.
    """
    weights0, weights1 = (
        _binomial(np.arange(n + 1, dtype=np.float64), n, np.array([rate]))
        for n, rate in ((n0, rate0), (n1, rate1))
    )
    return float((weights0 @ _rises(n0, n1, level) @ weights1.T)[0, 0])


@lru_cache(maxsize=256)
def _rises(n0: int, n1: int, level: float) -> Floats:
    """Return 1 for each table at which the two-sided test finds a rise, else 0."""
    tables = _tables(Counts(0, n0), Counts(0, n1))
    score = difference_statistic(n0, n1, tables.x0[:, None], tables.x1[None, :], 0.0)
    order, line = score + tables.beyond_score, tables.region.difference_line(0.0)
    # The p-value grows with each table that is less far out, so one search finds the last one that
    # is rejected. A p-value per table would take minutes.
    from_far = np.unique(order[order > 0])[::-1]

    def p_value(place: int) -> float:
        return 2 * tables.greatest_chance(order >= from_far[place] - _TIE, line)

    rejected = bisect_left(range(from_far.size), 1 - level, key=p_value)
    last = from_far[rejected - 1] if rejected else np.inf
    return (order >= last - _TIE).astype(np.float64)


def least_p_value(control: Counts, treatment: Counts) -> float:
    """Return the smallest p-value that any outcome of two arms of these sizes can have.

    It occurs if no unit of one arm and every unit of the other has the outcome, at the rate n1 / N.
    """
    n0, n1 = control.n, treatment.n
    rate = n1 / (n0 + n1)
    return float(2 * rate**n1 * (1 - rate) ** n0)


def _limits(
    control: Counts, treatment: Counts, kind: _Kind, value: float, level: float
) -> tuple[float, float]:
    tables, alpha, scale = _tables(control, treatment), 1 - level, kind.scale

    def above(parameter: float) -> float:
        return alpha - 2 * _one_sided(tables, kind, parameter, side=1)

    def below(parameter: float) -> float:
        return alpha - 2 * _one_sided(tables, kind, parameter, side=-1)

    return (
        turning_point(above, end=scale.low, value=value, null=scale.null, tolerance=_TOLERANCE),
        turning_point(below, end=scale.high, value=value, null=scale.null, tolerance=_TOLERANCE),
    )


def _one_sided(tables: _Tables, kind: _Kind, parameter: float, *, side: int) -> float:
    """Return the greatest probability of tables at least as far to that side as the observed."""
    score = kind.scale.statistic(
        tables.n0, tables.n1, tables.x0[:, None], tables.x1[None, :], parameter
    )
    apart = abs(parameter - kind.scale.null) / tables.reach
    order = side * (score + max(0.0, 1 - apart) * tables.beyond_score)
    members = order >= order[tables.seen] - _TIE
    return tables.greatest_chance(members, kind.line(tables.region, parameter))


@lru_cache(maxsize=32)
def _tables(control: Counts, treatment: Counts) -> _Tables:
    region = _region(control, treatment)
    x0 = _window(control.n, region.low0, region.high0)
    x1 = _window(treatment.n, region.low1, region.high1)
    score = difference_statistic(control.n, treatment.n, x0[:, None], x1[None, :], 0.0)
    fisher = _fisher_quantiles(control.n, treatment.n, x0, x1)
    reach = _REACH * sqrt(0.25 / control.n + 0.25 / treatment.n)
    seen = (control.successes - int(x0[0]), treatment.successes - int(x1[0]))
    return _Tables(control.n, treatment.n, x0, x1, fisher - score, reach, seen, region)


def _region(control: Counts, treatment: Counts) -> _Region:
    if is_countable(control.n, treatment.n):
        return _Region()
    # The limits of Clopper and Pearson, with half of the outside probability per arm.
    return _Region(*_exact_limits(control), *_exact_limits(treatment), outside=_REGION)


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


def _binomial(counts: Floats, n: int, rates: Floats) -> Floats:
    """Return the probability of each count (columns) at each rate (rows)."""
    inside = np.clip(rates, 1e-300, 1 - 1e-16)
    logs = np.outer(np.log(inside), counts) + np.outer(np.log1p(-inside), n - counts)
    found: Floats = np.exp(logs + _log_choose(n, counts))
    return found


def _log_choose(n: int, counts: Floats) -> Floats:
    found: Floats = (
        scipy.special.gammaln(n + 1)
        - scipy.special.gammaln(counts + 1)
        - scipy.special.gammaln(n - counts + 1)
    )
    return found


def _divided(value: float, by: float, otherwise: float) -> float:
    return value / by if by else otherwise
