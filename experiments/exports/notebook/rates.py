"""Rates.

Arms of up to 100 learners, and rare outcomes, are compared by Boschloo's exact test, others by the
score test of Miettinen and Nurminen (1985), Statistics in Medicine 4:213. An interval holds the
values that the test does not reject. In the exact test, tables are ordered by their score; near "no
difference" by Fisher's one-sided p-value, which makes it Boschloo's.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats
from statsmodels.stats.proportion import test_proportions_2indep as score_test

from experiments.exports.notebook.reading import Array

NAN = float("nan")
# Successes and learners of the control, then of the arm.
Table = tuple[int, int, int, int]
# If there are more tables, only likely rates are searched: Berger and Boos (1994).
ALL_TABLES, MOST_TABLES, LEFT_OUT = 20_000, 1_000_000, 1e-6


def compare_rates(control: Array, arm: Array, level: float) -> dict[str, float]:
    """Return the difference of two rates and their relative difference."""
    table = (int(control.sum()), control.size, int(arm.sum()), arm.size)
    x0, n0, x1, n1 = table
    if not n0 or not n1:
        return {}
    found = {"difference": x1 / n1 - x0 / n0}
    if x0:
        found["relative_value"] = (x1 / n1) / (x0 / n0) - 1
    share = n1 / (n0 + n1)
    # Even nobody against everybody would not be significant.
    if 2 * share**n1 * (1 - share) ** n0 >= 1 - level:
        return found
    is_exact = is_small(table)
    found["p_value"] = exact_p_value(table) if is_exact else score_p(table)
    found["low"], found["high"] = rate_limits(table, level, is_exact, is_ratio=False)
    if x0:
        low, high = rate_limits(table, level, is_exact, is_ratio=True)
        found["relative_low"], found["relative_high"] = low / (1 - low) - 1, high / (1 - high) - 1
    return found


def is_small(table: Table) -> bool:
    """Return whether the exact test is used."""
    x0, n0, x1, n1 = table
    rarer, smaller = min(x0 + x1, n0 + n1 - x0 - x1), min(n0, n1)
    if smaller > 100 and rarer * smaller / (n0 + n1) >= 5:
        return False
    (low0, high0), (low1, high1) = likely_rates(table)
    return window(n0, low0, high0).size * window(n1, low1, high1).size <= MOST_TABLES


def rate_test_p_value(x0: int, n0: int, x1: int, n1: int) -> float:
    """Return the p-value of two equal rates."""
    table = (x0, n0, x1, n1)
    return exact_p_value(table) if is_small(table) else score_p(table)


def score_p(table: Table) -> float:
    """Return the p-value of the score test of equal rates, by statsmodels where it answers."""
    x0, n0, x1, n1 = table
    if x0 + x1 in (0, n0 + n1):
        return 1.0
    with warnings.catch_warnings():
        # It computes the ratio too, which has no value for a rate of 0.
        warnings.simplefilter("ignore")
        return float(score_test(x1, n1, x0, n0, method="score", compare="diff").pvalue)


def score_p_one_sided(table: Table, value: float, side: int) -> float:
    """Return the p-value of a difference of at least the value; at most, if the side is -1.

    statsmodels 0.15.0 has this test too. But in its cubic for the likeliest rates, the control's
    successes stand where the paper has the control's learners, so it is right only at 0.
    """
    z = score_z(table, np.array(table[0]), np.array(table[2]), value, is_ratio=False)
    return float(special.ndtr(side * z))


def score_z(table: Table, x0: Array, x1: Array, value: float, *, is_ratio: bool) -> Array:
    """Return z for tables of successes. The value is a difference, or the share r / (1 + r)."""
    _, n0, _, n1 = table
    if is_ratio:
        r = value / (1 - value) if value < 1 else np.inf
        if r == np.inf:
            return np.where(x0 > 0, -np.inf, 0.0)
        # The paper's quadratic for the control's rate, with the root that does not cancel.
        a, b = (n0 + n1) * r, n1 * r + x1 + n0 + x0 * r
        rate0 = 2 * (x0 + x1) / (b + np.sqrt(np.maximum(b * b - 4 * a * (x0 + x1), 0)))
        rate1, apart, scale = rate0 * r, x1 / n1 - r * x0 / n0, r
    else:
        rate0 = cubic_rate(n0, n1, x0, x1, value)
        rate1, apart, scale = rate0 + value, x1 / n1 - x0 / n0 - value, 1.0
    rate0, rate1 = np.clip(rate0, 0, 1), np.clip(rate1, 0, 1)
    spread = rate1 * (1 - rate1) / n1 + scale**2 * rate0 * (1 - rate0) / n0
    spread = np.sqrt(np.maximum(spread, 0) * (n0 + n1) / (n0 + n1 - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(apart == 0, 0.0, apart / spread)


def cubic_rate(n0: int, n1: int, x0: Array, x1: Array, d: float) -> Array:
    """Return the control's likeliest rate if the rates differ by d, in the paper's notation."""
    n = n0 + n1
    l2 = (n1 + 2 * n0) * d - n - x0 - x1
    l1 = (n0 * d - n - 2 * x0) * d + x0 + x1
    l0 = x0 * d * (1 - d)
    q = l2**3 / (3 * n) ** 3 - l1 * l2 / (6 * n * n) + l0 / (2 * n)
    p = np.copysign(np.sqrt(np.maximum(l2 * l2 / (3 * n) ** 2 - l1 / (3 * n), 0)), q)
    cosine = np.divide(q, p**3, out=np.ones_like(p), where=p != 0)
    angle = (np.pi + np.arccos(np.clip(cosine, -1, 1))) / 3
    rate: Array = np.clip(2 * p * np.cos(angle) - l2 / (3 * n), max(0, -d), min(1, 1 - d))
    return rate


def rate_limits(
    table: Table, level: float, is_exact: bool, *, is_ratio: bool
) -> tuple[float, float]:
    """Return both limits of the difference, or of the share r / (1 + r) of the ratio r."""
    x0, n0, x1, n1 = table
    z = float(special.ndtri((1 + level) / 2))

    def excess(value: float, side: int) -> float:
        if is_exact:
            return 1 - level - 2 * exact_chance(table, value, side, is_ratio=is_ratio)
        seen = np.array(x0), np.array(x1)
        return side * float(score_z(table, *seen, value, is_ratio=is_ratio)) - z

    rate0, rate1 = x0 / n0, x1 / n1
    null, ends = (0.5, (0.0, 1.0)) if is_ratio else (0.0, (-1.0, 1.0))
    value = rate1 / (rate0 + rate1) if is_ratio else rate1 - rate0
    close = 1e-9 if is_exact else 1e-13
    low, high = (
        limit(lambda at, side=side: excess(at, side), end, value, null, close)  # type: ignore[misc]
        for side, end in zip((1, -1), ends, strict=True)
    )
    return low, high


def limit(
    excess: Callable[[float], float], end: float, value: float, null: float, close: float
) -> float:
    """Return where the test begins to reject on the way from the value to the end."""
    if min(end, value) < null < max(end, value):
        # The test at no effect decides the side, so interval and p-value cannot disagree.
        end, value = (null, value) if excess(null) > 0 else (end, null)
    if excess(end) <= 0:
        return end
    beside = value + (end - value) * 1e-12
    if excess(beside) >= 0:
        return value
    return float(optimize.brentq(lambda at: min(excess(at), 1e6), end, beside, xtol=close))


def exact_p_value(table: Table) -> float:
    """Return the two-sided p-value of Boschloo's test."""
    return min(1.0, 2 * min(exact_chance(table, 0.0, side, is_ratio=False) for side in (1, -1)))


def exact_chance(table: Table, value: float, side: int, *, is_ratio: bool) -> float:
    """Return the chance, at the worst rates, of a table at least as far to the side."""
    x0, n0, x1, n1 = table
    likely = likely_rates(table)
    rows, columns, grid = tables_of(table)
    order = score_z(table, *grid, value, is_ratio=is_ratio)
    apart = abs(value - (0.5 if is_ratio else 0.0)) / (0.25 * np.sqrt(0.25 / n0 + 0.25 / n1))
    if apart < 1:
        order = order + (1 - apart) * beyond_score(table)
    order = side * order
    is_far = (order >= order[x0 - int(rows[0]), x1 - int(columns[0])] - 1e-8).astype(float)
    start, end = rates_line(value, likely, is_ratio=is_ratio)
    outside = LEFT_OUT if (n0 + 1) * (n1 + 1) > ALL_TABLES else 0.0
    if (start > end).any():
        return outside
    shares = np.sin(np.linspace(0, np.pi / 2, 65)) ** 2
    best = 0.0
    for _ in range(4):
        rate0, rate1 = np.clip(start + (end - start) * shares[:, None], 0, 1).T
        chances = (stats.binom.pmf(rows, n0, rate0[:, None]) @ is_far) * stats.binom.pmf(
            columns, n1, rate1[:, None]
        )
        at = int(chances.sum(axis=1).argmax())
        best = max(best, float(chances[at].sum()))
        shares = np.linspace(shares[max(at - 1, 0)], shares[min(at + 1, shares.size - 1)], 17)
    return best + outside


def tables_of(table: Table) -> tuple[Array, Array, tuple[Array, Array]]:
    """Return the successes of each arm that can come about, and all pairs of them."""
    (low0, high0), (low1, high1) = likely_rates(table)
    rows, columns = window(table[1], low0, high0), window(table[3], low1, high1)
    grid = np.meshgrid(rows, columns, indexing="ij")
    return rows, columns, (grid[0], grid[1])


@lru_cache(maxsize=4)
def beyond_score(table: Table) -> Array:
    """Return how much farther each table is by Fisher's test than by the score test."""
    *_, grid = tables_of(table)
    plain = score_z(table, *grid, 0.0, is_ratio=False)
    return fisher_order(table[1], table[3], *grid) - plain


def rates_line(
    value: float, likely: tuple[tuple[float, float], ...], *, is_ratio: bool
) -> tuple[Array, Array]:
    """Return the first and the last pair of likely rates that the value allows."""
    (low0, high0), (low1, high1) = likely
    if not is_ratio:
        start, end = max(low0, low1 - value), min(high0, high1 - value)
        return np.array([start, start + value]), np.array([end, end + value])
    weights = np.array([1 - value, value])
    with np.errstate(divide="ignore", invalid="ignore"):
        lows = np.where(weights > 0, np.array([low0, low1]) / weights, 0.0)
        highs = np.where(weights > 0, np.array([high0, high1]) / weights, np.inf)
    return lows.max() * weights, highs.min() * weights


def likely_rates(table: Table) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the range of each rate that is searched: all, or Clopper and Pearson's interval."""
    x0, n0, x1, n1 = table
    if (n0 + 1) * (n1 + 1) <= ALL_TABLES:
        return (0.0, 1.0), (0.0, 1.0)
    inner = 1 - LEFT_OUT / 2
    first, second = (
        stats.binomtest(x, n).proportion_ci(inner, method="exact") for x, n in ((x0, n0), (x1, n1))
    )
    return (first.low, first.high), (second.low, second.high)


def window(n: int, low: float, high: float) -> Array:
    """Return the counts that can come about with a rate in the range, but for a chance of 1e-12."""
    room = -np.log(1e-12)
    start = n * low - np.sqrt(2 * n * low * (1 - low) * room) - room
    end = n * high + np.sqrt(2 * n * high * (1 - high) * room) + room
    return np.arange(max(int(start), 0), min(int(end) + 1, n) + 1, dtype=np.float64)


def fisher_order(n0: int, n1: int, x0: Array, x1: Array) -> Array:
    """Return Fisher's one-sided p-value in a table's direction as a signed normal quantile."""
    apart = x1 * n0 - x0 * n1
    more = stats.hypergeom.sf(x1 - 1, n0 + n1, n1, x0 + x1)
    fewer = stats.hypergeom.sf(x0 - 1, n0 + n1, n0, x0 + x1)
    p = np.clip(np.where(apart > 0, more, fewer), 1e-300, 1.0)
    order: Array = np.sign(apart) * np.where(p < 0.5, 1e-6 - special.ndtri(p), 2e-6 * (1 - p))
    return order
