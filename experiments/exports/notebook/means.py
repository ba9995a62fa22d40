"""Means.

Welch's t test compares two means. In small or sparse arms a permutation test is made too, and the
wider interval and the larger p-value of both are taken. The relative difference has Fieller's
interval.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from experiments.exports.notebook.reading import Array

# The draws of the permutation test: their number, and the seed of numpy's generator.
DRAWS, SEED = 9_999, 20_250_901


def compare_means(control: Array, arm: Array, level: float) -> dict[str, float]:
    """Return the difference of two means and their relative difference."""
    if not control.size or not arm.size:
        return {}
    found = welch(control, arm, level)
    if "low" in found and (is_thin(control) or is_thin(arm)) and is_listed(control, arm):
        low, high, p = permutation(control, arm, level)
        if np.isinf(low) or np.isinf(high):
            found = {"difference": found["difference"]}
        else:
            found["low"], found["high"] = min(found["low"], low), max(found["high"], high)
            found["p_value"] = max(found["p_value"], p)
    return found | relative(control, arm, found, level)


def welch(control: Array, arm: Array, level: float) -> dict[str, float]:
    """Return the difference with Welch's interval and p-value, as far as they are known."""
    found = {"difference": float(arm.mean() - control.mean())}
    constant = [np.ptp(each) <= 1e-9 * np.abs(each).max() for each in (control, arm)]
    is_zero = any(not each.any() for each in (control, arm))
    if min(control.size, arm.size) < 2 or all(constant) or is_zero:
        return found
    with warnings.catch_warnings():
        # An arm whose outcomes are all the same is no reason to worry if the other one varies.
        warnings.simplefilter("ignore")
        test = stats.ttest_ind(arm, control, equal_var=False)
    limits = test.confidence_interval(level)
    return found | {
        "low": float(limits.low), "high": float(limits.high), "p_value": float(test.pvalue),
        "df": float(test.df),
        "error": float(np.sqrt(sum(each.var(ddof=1) / each.size for each in (control, arm)))),
    }  # fmt: skip


def is_thin(values: Array) -> bool:
    """Return whether the mean is not close to normal."""
    commonest = np.unique(values, return_counts=True)[1].max()
    return bool(values.size < 200 or values.size - commonest < 50)


def is_listed(*arms: Array) -> bool:
    """Return whether each arm has at most 1,000 different values."""
    return max(np.unique(values).size for values in arms) <= 1_000


def permutation(control: Array, arm: Array, level: float) -> tuple[float, float, float]:
    """Return the limits and the p-value of a permutation test.

    In each draw k learners of each arm change places. If the treatment adds d to each outcome, the
    draw is as far from equal arms as the observed one exactly if the k who leave the arm exceed the
    k who enter it by at most d on average.
    """
    generator = np.random.default_rng(SEED)
    k = generator.hypergeometric(control.size, arm.size, arm.size, size=DRAWS)
    k = k[k > 0]
    entering, leaving = (sum_of_some(values, k, generator) for values in (control, arm))
    excess, unchanged = (leaving - entering) / k, DRAWS - k.size
    # The observed arms count as one more draw.
    below = 1 + unchanged + int((excess <= 0).sum())
    above = 1 + unchanged + int((excess >= 0).sum())
    # A limit is the d at which so many draws are as extreme that the test does not reject.
    rank = max(int(np.ceil((1 - level) * (DRAWS + 1) / 2 - 1)), 1)
    falling, rising = np.sort(excess)[::-1], np.sort(excess)
    low = -np.inf if rank <= unchanged else float(rising[rank - unchanged - 1])
    high = np.inf if rank <= unchanged else float(falling[rank - unchanged - 1])
    return low, high, min(2 * min(below, above) / (DRAWS + 1), 1.0)


def sum_of_some(values: Array, k: NDArray[np.int64], generator: np.random.Generator) -> Array:
    """Return for each draw the sum of k of the values, drawn without replacement."""
    total, left, wanted = np.zeros(k.size), values.size, k.copy()
    for value, times in zip(*np.unique(values, return_counts=True), strict=True):
        left -= int(times)
        taken = generator.hypergeometric(int(times), left, wanted)
        total += value * taken
        wanted -= taken
    return total


def relative(
    control: Array, arm: Array, difference: dict[str, float], level: float
) -> dict[str, float]:
    """Return arm mean / control mean - 1 with Fieller's limits."""
    base, mean = float(control.mean()), float(arm.mean())
    if base <= 0:
        return {}
    found = {"relative_value": mean / base - 1}
    if "low" not in difference:
        return found
    t = special.stdtrit(difference["df"], (1 + level) / 2)
    own, other = (values.var(ddof=1) / values.size for values in (control, arm))
    # (mean - r base)^2 = t^2 (other + r^2 own), solved for r.
    a, b, c = base**2 - t * t * own, mean * base, mean**2 - t * t * other
    if a <= 0:
        return found
    half = np.sqrt(b * b - a * c)
    low, high = float((b - half) / a) - 1, float((b + half) / a) - 1
    if difference["low"] <= 0 <= difference["high"]:
        low, high = min(low, difference["low"] / base), max(high, difference["high"] / base)
    found["relative_low"] = max(low, -1.0) if mean >= 0 else low
    found["relative_high"] = high
    return found
