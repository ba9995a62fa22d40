"""Coverage and size of the comparison of two rates, counted over every possible table."""

from collections.abc import Iterator, Sequence
from functools import cache, partial

import numpy as np
import scipy
from numpy.typing import NDArray

from experiments.stats.certificates.promise import Measured, Promise, Subject
from experiments.stats.rates import rate_difference, relative_rate
from experiments.stats.sufficient import Counts

Floats = NDArray[np.float64]
Sizes = tuple[int, int]

# In hundredths, so that differences are exact.
_GRID = np.arange(1, 100)
_ROUNDING = 1e-9


def rate_promises(exact: Sequence[Sizes], large: Sequence[Sizes] = ()) -> Iterator[Promise]:
    """Yield promises on arms with the exact test, and on larger ones, which have the score test."""
    for sizes in (*exact, *large):
        yield Promise(
            Subject.RATES, f"{_named(sizes)}: least coverage of rates .01 to .99",
            partial(_least_coverage, sizes), low=0.93,
        )  # fmt: skip
    for sizes in exact:
        what = f"{_named(sizes)}: greatest size of the test"
        yield Promise(Subject.RATES, what, partial(_greatest_size, sizes), high=0.05)
    for sizes in large:
        what = f"{_named(sizes)}: greatest size of the test (score test)"
        yield Promise(Subject.RATES, what, partial(_greatest_size, sizes), high=0.06)


def agreement_promises(exact: Sequence[Sizes]) -> Iterator[Promise]:
    """Yield promises that difference and relative lift never disagree about 0."""
    for sizes in exact:
        what = f"{_named(sizes)}, all tables of rates: disagreements"
        yield Promise(Subject.AGREEMENT, what, partial(_disagreements, sizes), high=0)


def _named(sizes: Sizes) -> str:
    return f"{sizes[0]} against {sizes[1]}"


def _least_coverage(sizes: Sizes) -> Measured:
    low, high = _limits_of_all(*sizes)
    controls, treated = (_chances(n, _GRID / 100) for n in sizes)
    least = 1.0
    for hundredths in range(-98, 99):
        difference = hundredths / 100
        is_inside = (low <= difference + _ROUNDING) & (difference - _ROUNDING <= high)
        first = max(0, -hundredths)
        pairs = _GRID.size - abs(hundredths)
        from_control = controls[first : first + pairs] @ is_inside
        to = treated[first + hundredths : first + hundredths + pairs]
        least = min(least, float((from_control * to).sum(axis=1).min()))
    return Measured(least)


def _greatest_size(sizes: Sizes) -> Measured:
    low, high = _limits_of_all(*sizes)
    rates = np.linspace(0.001, 0.999, 999)
    controls, treated = (_chances(n, rates) for n in sizes)
    is_found = (low > 0) | (high < 0)
    return Measured(float(((controls @ is_found) * treated).sum(axis=1).max()))


def _disagreements(sizes: Sizes) -> Measured:
    found = 0
    for seen in range(sizes[0] + 1):
        for other in range(sizes[1] + 1):
            control, treatment = Counts(seen, sizes[0]), Counts(other, sizes[1])
            difference, lift = (
                rate_difference(control, treatment),
                relative_rate(control, treatment),
            )
            if lift.has_interval:
                found += lift.excludes_zero != difference.excludes_zero
            found += difference.excludes_zero != difference.is_significant
    return Measured(found)


@cache
def _limits_of_all(n0: int, n1: int) -> tuple[Floats, Floats]:
    """Return the limits of each table. A table without an interval rules nothing out."""
    found = np.array([[_limits(x0, x1, n0, n1) for x1 in range(n1 + 1)] for x0 in range(n0 + 1)])
    return np.nan_to_num(found[..., 0], nan=-1.0), np.nan_to_num(found[..., 1], nan=1.0)


@cache
def _limits(x0: int, x1: int, n0: int, n1: int) -> tuple[float, float]:
    # Swapping the outcome with its opposite, or two arms of one size, mirrors the limits. So most
    # tables need not be computed.
    if x0 / n0 + x1 / n1 > 1:
        low, high = _limits(n0 - x0, n1 - x1, n0, n1)
        return -high, -low
    if n0 == n1 and x0 > x1:
        low, high = _limits(x1, x0, n1, n0)
        return -high, -low
    found = rate_difference(Counts(x0, n0), Counts(x1, n1))
    return found.low, found.high


def _chances(n: int, rates: Floats) -> Floats:
    """Return the probability of each count (columns) at each rate (rows)."""
    counts = np.arange(n + 1)
    ways = scipy.special.gammaln(n + 1)
    ways = ways - scipy.special.gammaln(counts + 1) - scipy.special.gammaln(n - counts + 1)
    logs = np.outer(np.log(rates), counts) + np.outer(np.log1p(-rates), n - counts)
    found: Floats = np.exp(logs + ways)
    return found
