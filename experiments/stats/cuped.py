"""CUPED: a difference adjusted for one number from before the draw, from sums that add."""

from dataclasses import replace

from experiments.stats.adjusted import EXPLAINED
from experiments.stats.estimate import Estimate, unknown
from experiments.stats.joint import JointMoments
from experiments.stats.means import welch_difference
from experiments.stats.ratios import linearized, ratio_difference

_CUPED = "CUPED, Welch t"


def cuped_difference(
    control: JointMoments, treatment: JointMoments, *, level: float = 0.95
) -> Estimate:
    """Return treatment mean minus control mean, adjusted for one covariate, from sums that add.

    The columns are the outcome y and the covariate x. The slope is the pooled one within the arms,
    so the value is that of the analysis of covariance. Welch's t compares y - slope * x. If the
    covariate does not vary, the result is Welch's and has its method's name. Deng, Xu, Kohavi and
    Walker (2013), WSDM, who take the slope over both arms together.
    """
    arms = (control, treatment)
    plain = welch_difference(control.column(0), treatment.column(0), level=level)
    spread = sum(arm.column(1).deviations for arm in arms if arm.column(1).variance)
    if not plain.has_interval or not spread:
        return plain
    slope = sum(arm.codeviations[0][1] for arm in arms) / spread
    found = welch_difference(*(arm.combined(1.0, -slope) for arm in arms), level=level)
    if not found.has_interval:
        value = plain.value - slope * (treatment.means[1] - control.means[1])
        return unknown(value, level=level, reason=EXPLAINED)
    return replace(found, method=_CUPED, test=_CUPED)


def cuped_ratio_difference(
    control: JointMoments, treatment: JointMoments, *, level: float = 0.95
) -> Estimate:
    """Return the treatment's ratio of totals minus the control's, adjusted for an earlier ratio.

    The columns are numerator y and denominator d, and the earlier numerator p and denominator q.
    With an arm's ratios r and s, each learner has L = (y - r d) / mean d and K = (p - s q) /
    mean q. The slope is the sum over the arms of the products L K, divided by that of the squares
    of K. The value is r1 - r0 - slope * (s1 - s0), and Welch's t compares L - slope * K. If the
    earlier ratios cannot be compared, the result is `ratio_difference`. Deng et al. (2013).
    """
    plain = ratio_difference(control.columns(0, 1), treatment.columns(0, 1), level=level)
    earlier = ratio_difference(control.columns(2, 3), treatment.columns(2, 3), level=level)
    if not plain.has_interval or not earlier.has_interval:
        return plain
    return cuped_difference(_linearized(control), _linearized(treatment), level=level)


def _linearized(arm: JointMoments) -> JointMoments:
    now, before = (linearized(arm.columns(one, one + 1)) for one in (0, 2))
    bottom, earlier = arm.means[1], arm.means[3]
    pair = arm.mapped(
        (1 / bottom, -now.mean / bottom, 0, 0), (0, 0, 1 / earlier, -before.mean / earlier)
    )
    return replace(pair, means=(now.mean, before.mean))
