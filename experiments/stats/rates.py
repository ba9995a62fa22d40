"""Comparison of two rates: one test, and the matching intervals of difference and lift.

The test is Boschloo's exact test for small or sparse arms, and the score test for others. Both
intervals hold the values that the test does not reject. So a page never shows an interval and a
p-value that disagree.
"""

from experiments.stats import boschloo, score, tables
from experiments.stats.estimate import NOBODY, UNKNOWN, Estimate, unknown
from experiments.stats.sufficient import Counts

RateDifference = Estimate
RelativeRate = Estimate

EXACT, SCORE = "Boschloo exact", "score"
# Boschloo's test with the search over plausible rates only, where the arms have too many tables.
PLAUSIBLE = "Boschloo exact, Berger-Boos"
METHODS = {
    EXACT: "inverted Boschloo",
    PLAUSIBLE: "inverted Boschloo, Berger-Boos",
    SCORE: "Miettinen-Nurminen score",
}

# Up to this size the score test rejects equal rates in up to 6.5 % of samples (25 per arm), and in
# up to 5.6 % in larger arms, by enumeration.
SMALL_ARM = 100
# Cochran's rule: if a cell expects fewer, a normal approximation is not reliable. One of 100
# against none of 1,000 has p = 0.002 by the score test and 0.10 by an exact test.
_LEAST_EXPECTED = 5
_TOO_FEW = "too few learners are counted for any outcome to show a difference"
_NO_RATIO = "the control's rate is 0, so there is no ratio to it"


def rate_difference(control: Counts, treatment: Counts, *, level: float = 0.95) -> RateDifference:
    """Return treatment rate minus control rate (-1..1) with its interval.

    The test is `rate_test`. The limits are those of Miettinen and Nurminen (1985) or of the
    inverted Boschloo test. The result is nan with a reason if an arm is empty, or if the arms are
    so small that even 0 % against 100 % would not be significant. `statistic` is z of the score
    test.
    """
    reason = _empty_reason(control, treatment)
    if reason:
        return unknown(UNKNOWN, level=level, reason=reason)
    value = treatment.rate - control.rate
    if boschloo.least_p_value(control, treatment) >= 1 - level:
        return unknown(value, level=level, reason=_TOO_FEW)
    test, p_value = rate_test(control, treatment)
    limits = score.score_difference_limits if test == SCORE else boschloo.boschloo_difference_limits
    low, high = limits(control, treatment, level=level)
    z = score.score_statistic(control, treatment) if test == SCORE else UNKNOWN
    return Estimate(value, low, high, p_value, level, METHODS[test], test, statistic=z)


def relative_rate(control: Counts, treatment: Counts, *, level: float = 0.95) -> RelativeRate:
    """Return treatment rate / control rate - 1 (0.1 is ten percent more) with its interval.

    The test is that of the difference, and the interval holds the ratios that it does not reject.
    So both intervals include 0 or neither does, and no limit is below -1. A control rate of 0 gives
    nan with a reason. Miettinen and Nurminen (1985), equation 10, or the inverted Boschloo test.
    """
    reason = _empty_reason(control, treatment) or ("" if control.successes else _NO_RATIO)
    if reason:
        return unknown(UNKNOWN, level=level, reason=reason)
    value = treatment.rate / control.rate - 1
    if boschloo.least_p_value(control, treatment) >= 1 - level:
        return unknown(value, level=level, reason=_TOO_FEW)
    test, p_value = rate_test(control, treatment)
    limits = score.score_ratio_limits if test == SCORE else boschloo.boschloo_ratio_limits
    low, high = limits(control, treatment, level=level)
    return Estimate(value, low - 1, high - 1, p_value, level, METHODS[test], test)


def rate_test(control: Counts, treatment: Counts) -> tuple[str, float]:
    """Return the name and the two-sided p-value of the suitable test of two arms, neither empty.

    It is Boschloo's exact test if the smaller arm has at most 100 learners or an expected count is
    below 5, and otherwise the score test. With more than 20,000 possible tables, about 140 against
    140, the exact test is the variant of Berger and Boos (1994), and its name says so.
    """
    if _is_small(control, treatment) and tables.is_computable(control, treatment):
        is_whole = tables.is_countable(control.n, treatment.n)
        return EXACT if is_whole else PLAUSIBLE, boschloo.boschloo_p_value(control, treatment)
    return SCORE, score.score_p_value(control, treatment)


def _is_small(control: Counts, treatment: Counts) -> bool:
    pooled = control + treatment
    rarer = min(pooled.successes, pooled.n - pooled.successes)
    smaller = min(control.n, treatment.n)
    return smaller <= SMALL_ARM or rarer * smaller / pooled.n < _LEAST_EXPECTED


def _empty_reason(control: Counts, treatment: Counts) -> str:
    if not control.n:
        return NOBODY.format("the control")
    return "" if treatment.n else NOBODY.format("this arm")
