"""Comparison of two rates: one test, and the intervals of difference and lift that belong to it.

In small or sparse arms the test is Boschloo's exact one, in others the score test. In both, the
intervals hold what the test allows, so a page can never show an interval and a p-value that
disagree.
"""

from experiments.stats import boschloo, score
from experiments.stats.estimate import UNKNOWN, Estimate, unknown
from experiments.stats.sufficient import Counts

RateDifference = Estimate
RelativeRate = Estimate

EXACT, SCORE = "Boschloo exact", "score"
METHODS = {EXACT: "inverted Boschloo", SCORE: "Miettinen-Nurminen score"}

# Up to here the score test rejects equal rates in up to 6.5 % of samples (25 an arm), beyond in up
# to 5.6 %, by enumeration.
_SMALL_ARM = 100
# Cochran's rule: below this in any cell, a normal approximation is not trusted. One of 100 against
# none of 1,000 has p = 0.002 by the score test and 0.10 by an exact one.
_LEAST_EXPECTED = 5
_TOO_FEW = "so few learners are counted that no outcome of theirs could show a difference"
_NO_RATIO = "the control's rate is 0, and nothing can be a multiple of 0"


def rate_difference(control: Counts, treatment: Counts, *, level: float = 0.95) -> RateDifference:
    """Return treatment rate minus control rate (-1..1) with the limits that its test allows.

    The test is `rate_test`; the limits are Miettinen and Nurminen's (1985) or the inverted
    Boschloo's. An arm that nobody entered, and arms so small that not even nobody against everybody
    would be significant, give nan with a reason. `statistic` is the score test's z.
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
    """Return treatment rate / control rate - 1 (0.1 is ten percent more) with its limits.

    The test is that of the difference, and the limits hold the ratios that it allows: they leave
    out 0 together with the difference's and never lie below -1. A control rate of 0 gives nan with
    a reason. Miettinen and Nurminen (1985), equation 10, or the inverted Boschloo.
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
    """Return the name of the test that fits two arms that are not empty, and its p-value.

    Two-sided. Boschloo's exact test where the smaller arm holds at most 100 or an expected count is
    below 5, and the score test otherwise.
    """
    if _is_small(control, treatment) and boschloo.is_computable(control, treatment):
        return EXACT, boschloo.boschloo_p_value(control, treatment)
    return SCORE, score.score_p_value(control, treatment)


def _is_small(control: Counts, treatment: Counts) -> bool:
    pooled = control + treatment
    rarer = min(pooled.successes, pooled.n - pooled.successes)
    smaller = min(control.n, treatment.n)
    return smaller <= _SMALL_ARM or rarer * smaller / pooled.n < _LEAST_EXPECTED


def _empty_reason(control: Counts, treatment: Counts) -> str:
    if not control.n:
        return "nobody is counted in the control yet"
    return "" if treatment.n else "nobody is counted in this arm yet"
