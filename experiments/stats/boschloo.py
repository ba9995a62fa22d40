"""Boschloo's exact unconditional test of two rates, and the limits found by inverting it.

Tables are ordered by their distance from the hypothesis. For "no difference" the order is the
one-sided p-value of Fisher's exact test, which makes it Boschloo's test. For any other difference
or ratio it is the score statistic of that hypothesis; near "no difference" the two orders blend.
The p-value is the probability of a table at least as far out, at the worst pair of rates that the
hypothesis allows. A limit is the value at which that probability is (1 - level) / 2. Boschloo's
test decides on which side of "no difference" a limit lies, so test and limits always agree.

Boschloo (1970), Statistica Neerlandica 24:1. Exact limits from two one-sided tests ordered by the
score: Chan and Zhang (1999), Biometrics 55:1202.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from experiments.stats.limits import turning_point
from experiments.stats.score import DIFFERENCE, RATIO, Scale, difference_statistic, ratio_of
from experiments.stats.sufficient import Counts
from experiments.stats.tables import Floats, Line, Region, Tables, binomial, tables_of

# Equally extreme tables can differ by rounding.
_TIE = 1e-8
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class _Kind:
    """A way to compare two rates, and the pairs of rates that each value of it allows."""

    scale: Scale
    line: Callable[[Region, float], Line]


_DIFFERENCE = _Kind(DIFFERENCE, Region.difference_line)
_RATIO = _Kind(RATIO, Region.ratio_line)


@lru_cache(maxsize=512)
def boschloo_p_value(control: Counts, treatment: Counts) -> float:
    """Return the two-sided p-value: twice the smaller of the one-sided ones, at most 1.

    Neither arm may be empty. It agrees with `scipy.stats.boschloo_exact`, whose search may stop
    below the worst rate (by up to 3 % with its argument n = 8).
    """
    tables = tables_of(control, treatment)
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


def chance_of_rise(n0: int, n1: int, rate0: float, rate1: float, *, level: float) -> float:
    """Return the probability (0..1) that the test finds a higher rate in the treatment.

    It is the sum over all tables, so `is_countable` must be true. The rates are the true ones.
    """
    weights0, weights1 = (
        binomial(np.arange(n + 1, dtype=np.float64), n, np.array([rate]))
        for n, rate in ((n0, rate0), (n1, rate1))
    )
    return float((weights0 @ rising_tables(n0, n1, level) @ weights1.T)[0, 0])


@lru_cache(maxsize=256)
def rising_tables(n0: int, n1: int, level: float) -> Floats:
    """Return 1 for each table at which the two-sided test finds a rise, else 0.

    One row per control count, one column per treatment count. `is_countable` must be true.
    """
    tables = tables_of(Counts(0, n0), Counts(0, n1))
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
    tables, alpha, scale = tables_of(control, treatment), 1 - level, kind.scale

    def above(parameter: float) -> float:
        return alpha - 2 * _one_sided(tables, kind, parameter, side=1)

    def below(parameter: float) -> float:
        return alpha - 2 * _one_sided(tables, kind, parameter, side=-1)

    return (
        turning_point(above, end=scale.low, value=value, null=scale.null, tolerance=_TOLERANCE),
        turning_point(below, end=scale.high, value=value, null=scale.null, tolerance=_TOLERANCE),
    )


def _one_sided(tables: Tables, kind: _Kind, parameter: float, *, side: int) -> float:
    """Return the greatest probability of tables at least as far to that side as the observed."""
    score = kind.scale.statistic(
        tables.n0, tables.n1, tables.x0[:, None], tables.x1[None, :], parameter
    )
    apart = abs(parameter - kind.scale.null) / tables.reach
    order = side * (score + max(0.0, 1 - apart) * tables.beyond_score)
    members = order >= order[tables.seen] - _TIE
    return tables.greatest_chance(members, kind.line(tables.region, parameter))
