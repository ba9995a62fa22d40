"""Comparison of two rates: Newcombe's interval, the relative lift that agrees with it, and a test.

The plain z interval is not used: with 12 learners an arm and rates of .9 and .8, a nominal 95%
interval covers the truth in 66% of samples.
"""

from math import hypot, sqrt

from scipy import special
from scipy import stats as distributions

from experiments.stats.estimate import UNKNOWN, Estimate
from experiments.stats.sufficient import Counts

RateDifference = Estimate
RelativeRate = Estimate

_METHOD = "Newcombe hybrid score"
_RELATIVE_METHOD = "ratio from Wilson limits"
# Cochran's rule: below this in any cell, the score test's normal approximation is not trusted.
_LEAST_EXPECTED = 5
# Boschloo's test looks at every possible table; above this many, Fisher's stands in for it.
_MOST_TABLES = 40_000


def newcombe_difference(
    control: Counts, treatment: Counts, *, level: float = 0.95
) -> RateDifference:
    """Return treatment rate minus control rate (-1..1) with Newcombe's hybrid score interval.

    Both rates keep a sensible interval at 0 and 1, where the plain z interval collapses to a point.
    An arm nobody entered gives nan with a reason. Newcombe (1998), Statistics in Medicine 17:873,
    method 10.
    """
    reason = _empty_reason(control, treatment)
    if reason:
        return _unknown(_METHOD, level, reason)
    low, high = newcombe_interval(control, treatment, level=level)
    test, p_value = rate_test(control, treatment)
    value, z = treatment.rate - control.rate, score_statistic(control, treatment)
    return Estimate(value, low, high, p_value, level, _METHOD, test, statistic=z)


def newcombe_interval(
    control: Counts, treatment: Counts, *, level: float = 0.95
) -> tuple[float, float]:
    """Return the limits of `newcombe_difference` for two arms that are not empty."""
    low0, high0 = wilson_interval(control, level=level)
    low1, high1 = wilson_interval(treatment, level=level)
    value = treatment.rate - control.rate
    below = hypot(treatment.rate - low1, high0 - control.rate)
    above = hypot(high1 - treatment.rate, control.rate - low0)
    return value - below, value + above


def relative_rate(control: Counts, treatment: Counts, *, level: float = 0.95) -> RelativeRate:
    """Return treatment rate / control rate - 1 (0.1 is ten percent more) with its interval.

    The interval is built from the same Wilson limits as Newcombe's, so the two leave out zero
    together; the delta method's would not, and goes below -1 in small arms. A control rate of 0
    gives nan with a reason. Donner and Zou (2012), Statistical Methods in Medical Research 21:347.
    """
    reason = _empty_reason(control, treatment)
    if not reason and not control.successes:
        reason = "the control's rate is 0, and nothing can be a multiple of 0"
    if reason:
        return _unknown(_RELATIVE_METHOD, level, reason)
    test, p_value = rate_test(control, treatment)
    low, high = _ratio_limits(control, treatment, level)
    value = treatment.rate / control.rate - 1
    return Estimate(value, low - 1, high - 1, p_value, level, _RELATIVE_METHOD, test)


def wilson_interval(counts: Counts, *, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a rate, nan where nobody is counted.

    Wilson (1927), Journal of the American Statistical Association 22:209.
    """
    if not counts.n:
        return UNKNOWN, UNKNOWN
    z = float(special.ndtri((1 + level) / 2))
    weight = counts.n / (counts.n + z * z)
    middle = weight * counts.rate + (1 - weight) / 2
    spread = counts.rate * (1 - counts.rate) / counts.n
    half = weight * z * sqrt(spread + z * z / (4 * counts.n**2))
    # At 0 and at n, one limit is the rate itself, which rounding can step over.
    return (
        0.0 if counts.successes == 0 else middle - half,
        1.0 if counts.successes == counts.n else middle + half,
    )


def rate_test(control: Counts, treatment: Counts) -> tuple[str, float]:
    """Return the name of the test that fits two arms that are not empty, and its p-value.

    Two-sided. The score test (pooled z) where every expected count is at least 5; else Boschloo's
    exact test, or Fisher's where the tables are too many for it.
    """
    if _least_expected(control, treatment) >= _LEAST_EXPECTED:
        return "score", float(2 * special.ndtr(-abs(score_statistic(control, treatment))))
    if (control.n + 1) * (treatment.n + 1) > _MOST_TABLES:
        return "Fisher exact", fisher_p_value(control, treatment)
    return "Boschloo exact", _boschloo_p_value(control, treatment)


def score_statistic(control: Counts, treatment: Counts) -> float:
    """Return the pooled z of two rates; nan where nobody or everybody had the outcome."""
    pooled = control + treatment
    variance = pooled.rate * (1 - pooled.rate) * (1 / control.n + 1 / treatment.n)
    return (treatment.rate - control.rate) / sqrt(variance) if variance else UNKNOWN


def fisher_p_value(control: Counts, treatment: Counts) -> float:
    """Return the two-sided p-value of Fisher's exact test."""
    return float(distributions.fisher_exact(_table(control, treatment)).pvalue)


def _boschloo_p_value(control: Counts, treatment: Counts) -> float:
    pooled = control + treatment
    if pooled.successes in (0, pooled.n):
        # Both arms are the same in every learner: no table speaks less against chance.
        return 1.0
    return float(distributions.boschloo_exact(_table(control, treatment)).pvalue)


def _table(control: Counts, treatment: Counts) -> list[list[int]]:
    return [
        [treatment.successes, control.successes],
        [treatment.n - treatment.successes, control.n - control.successes],
    ]


def _least_expected(control: Counts, treatment: Counts) -> float:
    pooled = control + treatment
    rarer = min(pooled.successes, pooled.n - pooled.successes)
    return rarer * min(control.n, treatment.n) / pooled.n


def _ratio_limits(control: Counts, treatment: Counts, level: float) -> tuple[float, float]:
    low0, high0 = wilson_interval(control, level=level)
    low1, high1 = wilson_interval(treatment, level=level)
    both = treatment.rate * control.rate
    # Each limit is a root of a quadratic. The lower one is written with the root below the line:
    # in the usual form its leading coefficient can be zero.
    inner = low1 * (2 * treatment.rate - low1)
    below = both + _root(both, inner, high0 * (2 * control.rate - high0))
    outer = low0 * (2 * control.rate - low0)
    above = both + _root(both, high1 * (2 * treatment.rate - high1), outer)
    return (inner / below if inner else 0.0), above / outer


def _root(both: float, one: float, other: float) -> float:
    # Rounding can leave a zero slightly below zero.
    return sqrt(max(both * both - one * other, 0.0))


def _empty_reason(control: Counts, treatment: Counts) -> str:
    if not control.n:
        return "nobody is counted in the control yet"
    return "" if treatment.n else "nobody is counted in this arm yet"


def _unknown(method: str, level: float, reason: str) -> Estimate:
    return Estimate(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, level, method, "none", reason)
