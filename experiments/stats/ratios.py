"""Comparison of two ratios of totals, such as passed attempts / scored attempts.

Learners are drawn, so they are the units and not their attempts: attempts of one learner are alike.
"""

from dataclasses import replace
from math import isfinite

from experiments.stats.estimate import NOBODY, UNKNOWN, Estimate, t_quantile, unknown
from experiments.stats.joint import JointMoments
from experiments.stats.means import relative_mean, welch_difference
from experiments.stats.sufficient import Moments

# The sums of an arm. The columns are the numerator and the denominator of each learner.
RatioSums = JointMoments
RatioDifference = Estimate
RelativeRatio = Estimate

_METHOD = "delta method, Welch t"
_NO_TOTAL = "the total of {}'s denominator is not above 0, so there is no ratio"
_TOO_CLOSE = "the denominator of {} is so uncertain that its mean may be 0"
_ALIKE = "the ratio is the same for every learner of {}, so it is not known how much it varies"
_TOO_LARGE = "the numbers of {} are too far apart in size to be computed with"


def ratio_difference(
    control: RatioSums, treatment: RatioSums, *, level: float = 0.95
) -> RatioDifference:
    """Return the treatment's ratio of totals minus the control's, with its interval.

    By the delta method an arm's ratio r has the variance of the mean of (numerator - r *
    denominator) / mean denominator over its learners. Welch's t compares these means, with
    Satterthwaite's degrees of freedom. With every denominator 1 it is `welch_difference`. The
    limits are nan with a reason if an arm has no denominator or at most one learner, if its
    learners do not vary, or if the mean of its denominator cannot be distinguished from 0
    (Fieller's g >= 1), since the delta method is not valid then. Deng, Knoblich and Lu (2018),
    KDD: Applying the delta method in metric analytics, section 3.
    """
    value = ratio(treatment) - ratio(control)
    reason = _reason(control, treatment, level)
    if reason:
        return unknown(value, level=level, reason=reason)
    found = welch_difference(linearized(control), linearized(treatment), level=level)
    if not found.has_interval:
        return unknown(value, level=level, reason=found.reason)
    return replace(found, method=_METHOD, test=_METHOD)


def relative_ratio(
    control: RatioSums, treatment: RatioSums, difference: RatioDifference
) -> RelativeRatio:
    """Return treatment ratio / control ratio - 1 (0.1 is ten percent more) with its interval.

    It has Fieller's limits with the variances, the degrees of freedom and the p-value of the
    difference. At equal ratios Fieller's statistic is that of the difference, so both intervals
    include 0 or neither does. The delta method on the log scale has another statistic there and
    could contradict the difference. A ratio is the mean per unit of its denominator, and the
    reasons of `relative_mean` say so.
    """
    if not difference.has_interval:
        base = ratio(control)
        value = ratio(treatment) / base - 1 if base > 0 else UNKNOWN
        return unknown(value, level=difference.level, reason=difference.reason)
    return relative_mean(linearized(control), linearized(treatment), difference)


def ratio(sums: RatioSums) -> float:
    """Return the ratio of totals; nan if the denominator's total is not above 0."""
    top, bottom = sums.means
    return top / bottom if sums.n and bottom > 0 else UNKNOWN


def linearized(sums: RatioSums) -> Moments:
    """Return the moments of r + (numerator - r * denominator) / mean denominator per learner.

    Their mean is the ratio r. The denominator's total must be above 0.
    """
    r, bottom = ratio(sums), sums.means[1]
    return replace(sums.combined(1 / bottom, -r / bottom), mean=r)


def _reason(control: RatioSums, treatment: RatioSums, level: float) -> str:
    return _arm_reason(control, "the control", level) or _arm_reason(treatment, "this arm", level)


def _arm_reason(sums: RatioSums, name: str, level: float) -> str:
    if not sums.n:
        return NOBODY.format(name)
    if sums.means[1] <= 0:
        return _NO_TOTAL.format(name)
    if sums.n == 1:
        return f"only one learner of {name} is counted, so the spread is not known"
    residuals = linearized(sums)
    if not isfinite(residuals.deviations):
        return _TOO_LARGE.format(name)
    if _may_be_zero(sums.column(1), level):
        return _TOO_CLOSE.format(name)
    return "" if residuals.variance else _ALIKE.format(name)


def _may_be_zero(denominator: Moments, level: float) -> bool:
    t = t_quantile(denominator.n - 1, level)
    return t * t * denominator.variance / denominator.n >= denominator.mean * denominator.mean
