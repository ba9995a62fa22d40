"""Checks of a report.

Guardrails have a margin that is tested. Who left tells whether the arms may be compared. The effect
on learners whom a message reached is that on all, divided by the difference in reach. Arm sizes are
tested against the weights of the draw.
"""

from itertools import product

import numpy as np
from scipy import optimize, special, stats

from experiments.exports.notebook.means import welch
from experiments.exports.notebook.rates import (
    Table,
    exact_p_value,
    is_small,
    rate_limits,
    rate_test_p_value,
    score_p,
    score_p_one_sided,
)
from experiments.exports.notebook.reading import Array


def guard_rate(
    control: Array, arm: Array, margin: float, is_lower_better: bool, level: float
) -> dict[str, float]:
    """Return the difference of two rates as `rate` does, and the score test of the margin."""
    table: Table = (int(control.sum()), control.size, int(arm.sum()), arm.size)
    x0, n0, x1, n1 = table
    if not n0 or not n1:
        return {}
    is_exact = is_small(table)
    low, high = rate_limits(table, level, is_exact=is_exact, is_ratio=False)
    side = 1 if is_lower_better else -1
    return {
        "difference": x1 / n1 - x0 / n0, "low": low, "high": high,
        "p_value": exact_p_value(table) if is_exact else score_p(table),
        "margin_p_value": score_p_one_sided(table, side * margin, side),
    }  # fmt: skip


def lee_bounds_of(
    control: Array, drawn0: int, arm: Array, drawn1: int, level: float
) -> dict[str, float]:
    """Return Lee's (2009) bounds of the effect on learners who stay in either arm.

    The outcomes are those of learners who stayed. Of the arm that kept more, the highest or the
    lowest outcomes are left out until it kept as many.
    """
    if min(control.size, arm.size) < 2:
        return {}
    share0, share1 = control.size / drawn0, arm.size / drawn1
    ways = []
    if share0 <= share1:
        ways.append(trimmed_bounds((control, drawn0), (arm, drawn1), level))
    if share1 <= share0:
        found = trimmed_bounds((arm, drawn1), (control, drawn0), level)
        ways.append((-found[1], -found[0], -found[3], -found[2]))
    return {
        "bounds_lower": ways[0][0], "bounds_upper": ways[0][1],
        "bounds_low": float(np.min([way[2] for way in ways])),
        "bounds_high": float(np.max([way[3] for way in ways])),
    }  # fmt: skip


def trimmed_bounds(
    fewer: tuple[Array, int], more: tuple[Array, int], level: float
) -> tuple[float, float, float, float]:
    """Return the bounds of `more` minus `fewer`, and the interval of the effect between them."""
    nan = float("nan")
    (own, drawn0), (other, drawn1) = fewer, more
    kept = min(drawn1 * own.size / drawn0, float(other.size))
    if kept < 2:
        return nan, nan, nan, nan
    chance = (1 - own.size / drawn0) / own.size + (1 - other.size / drawn1) / other.size
    lowest, spread = kept_mean(np.sort(other), kept, chance)
    highest, spread_high = kept_mean(np.sort(-other), kept, chance)
    variance = own.var(ddof=1) / own.size
    errors = np.sqrt([spread + variance, spread_high + variance])
    lower, upper = lowest - own.mean(), -highest - own.mean()
    if not errors.max():
        return float(lower), float(upper), nan, nan
    width = max(upper - lower, 0.0) / errors.max()
    ends = special.ndtri(level), special.ndtri((1 + level) / 2)

    def excess(c: float) -> float:
        return float(special.ndtr(c + width) - special.ndtr(-c)) - level

    c = ends[0] if excess(ends[0]) >= 0 else optimize.brentq(excess, *ends)
    return float(lower), float(upper), float(lower - c * errors[0]), float(upper + c * errors[1])


def kept_mean(values: Array, kept: float, chance: float) -> tuple[float, float]:
    """Return the mean of the first `kept` values, the last of them in part, and its variance."""
    weights = np.clip(kept - np.arange(values.size), 0, 1)
    mean = float((weights * values).sum() / kept)
    inside = float((weights * (values - mean) ** 2).sum() / (kept - 1))
    edge = float(values[int(np.ceil(kept)) - 1] - mean) ** 2
    return mean, inside / kept + edge * (1 - kept / values.size) / kept + edge * chance


def reached_effect(control: list[Array], arm: list[Array], level: float) -> dict[str, float]:
    """Return the effect on those whom a message reached because of their arm.

    Each arm has outcomes and reach (0 or 1). The interval holds each effect b for which outcome
    minus b times reach does not differ between the arms: Anderson and Rubin (1949).
    """
    if not control[0].size or not arm[0].size:
        return {}
    intended = welch(control[0], arm[0], level)
    apart = float(arm[1].mean() - control[1].mean())
    if not apart:
        return {}
    found = {"difference": intended["difference"] / apart}
    if "low" not in intended:
        return found
    found["p_value"] = intended["p_value"]
    t = float(special.stdtrit(intended["df"], (1 + level) / 2))

    def excess(b: float) -> float:
        rest0, rest1 = control[0] - b * control[1], arm[0] - b * arm[1]
        error = np.sqrt(rest0.var(ddof=1) / rest0.size + rest1.var(ddof=1) / rest1.size)
        return float(abs(rest1.mean() - rest0.mean()) - t * error)

    # Far from the value, only the difference in reach counts.
    spread = sum(each[1].var(ddof=1) / each[1].size for each in (control, arm))
    if apart**2 <= t * t * spread:
        return found
    for name, side in (("low", -1), ("high", 1)):
        step = 1.0
        while excess(found["difference"] + side * step) < 0:
            step *= 2
        ends = found["difference"], found["difference"] + side * step
        found[name] = float(optimize.brentq(excess, *ends, xtol=1e-14))
    return found


def left_p_value(left0: int, n0: int, left1: int, n1: int) -> float:
    """Return the p-value of equal shares of learners who left."""
    return rate_test_p_value(left0, n0, left1, n1) if n0 and n1 else float("nan")


def sizes_p_value(sizes: list[int], weights: list[float]) -> float:
    """Return the p-value of the arm sizes: exact, if they are not too many for it."""
    drawn = [(size, weight) for size, weight in zip(sizes, weights, strict=True) if weight > 0]
    total, shares = sum(size for size, _ in drawn), np.array([weight for _, weight in drawn])
    shares = shares / shares.sum()
    counts = np.array([size for size, _ in drawn])
    if len(drawn) < 2 or not total:
        return float("nan")
    if len(drawn) == 2:
        return float(stats.binomtest(int(counts[0]), total, float(shares[0])).pvalue)
    if special.comb(total + len(drawn) - 1, len(drawn) - 1) > 200_000:
        return float(stats.chisquare(counts, total * shares).pvalue)
    model = stats.multinomial(total, shares)
    splits = [
        (*first, total - sum(first))
        for first in product(range(total + 1), repeat=len(drawn) - 1)
        if sum(first) <= total
    ]
    chances = model.pmf(splits)
    return min(1.0, float(chances[chances <= model.pmf(counts) * (1 + 1e-9)].sum()))


def sizes_always_p_value(sizes: list[int], weights: list[float]) -> float:
    """Return the p-value that holds however often one looks: Lindon and Malek (2022)."""
    drawn = [(size, weight) for size, weight in zip(sizes, weights, strict=True) if weight > 0]
    counts = np.array([size for size, _ in drawn])
    shares = np.array([weight for _, weight in drawn]) / sum(weight for _, weight in drawn)
    if len(drawn) < 2 or not counts.sum():
        return float("nan")
    # The ways to order the learners are in both chances.
    null = stats.multinomial.logpmf(counts, counts.sum(), shares)
    others = [
        stats.dirichlet_multinomial.logpmf(counts, prior * shares, counts.sum())
        for prior in (2.0, 100.0, 10_000.0)
    ]
    return float(min(1.0, np.exp(null - special.logsumexp(others) + np.log(3))))
