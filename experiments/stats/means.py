"""Comparison of two means: Welch's t, and the relative lift by the delta method."""

from math import sqrt

from scipy import special

from experiments.stats.estimate import UNKNOWN, Estimate
from experiments.stats.sufficient import Moments

MeanDifference = Estimate
RelativeMean = Estimate

_METHOD = "Welch t"
_RELATIVE_METHOD = "delta method"
_ALL_ZERO = "every outcome in this arm is 0, which says nothing about the spread of the ratio"


def welch_difference(
    control: Moments, treatment: Moments, *, level: float = 0.95
) -> MeanDifference:
    """Return treatment mean minus control mean, in the outcome's unit, with Welch's interval.

    The variances may differ. Below two outcomes in an arm, and where no outcome varies at all,
    the difference has no interval: nan with a reason. Welch (1947), Biometrika 34:28.
    """
    value = treatment.average - control.average
    reason = _reason(control, treatment)
    if reason:
        return _unknown(value, _METHOD, level, reason)
    error = sqrt(control.variance / control.n + treatment.variance / treatment.n)
    df = _degrees_of_freedom(control, treatment)
    return _with_t(value, error, df, method=_METHOD, level=level)


def relative_mean(control: Moments, treatment: Moments, *, level: float = 0.95) -> RelativeMean:
    """Return treatment mean / control mean - 1 (0.1 is ten percent more) by the delta method.

    The degrees of freedom are Welch's. A control mean that is not above 0 gives nan with a reason,
    and where all of the treatment's outcomes are 0 the lift of -1 has no interval.
    Variance of a ratio: Casella and Berger (2002), Statistical Inference, example 5.5.27.
    """
    reason = _reason(control, treatment)
    if control.n and control.mean <= 0:
        return _unknown(UNKNOWN, _RELATIVE_METHOD, level, "the control's mean is not above 0")
    value = treatment.average / control.average - 1 if control.n else UNKNOWN
    if reason:
        return _unknown(value, _RELATIVE_METHOD, level, reason)
    ratio = treatment.mean / control.mean
    spread = treatment.variance / treatment.n + ratio * ratio * control.variance / control.n
    if not spread:
        return _unknown(value, _RELATIVE_METHOD, level, _ALL_ZERO)
    df = _degrees_of_freedom(control, treatment)
    error = sqrt(spread) / control.mean
    return _with_t(value, error, df, method=_RELATIVE_METHOD, level=level)


def _with_t(value: float, error: float, df: float, *, method: str, level: float) -> Estimate:
    statistic = value / error
    half = float(special.stdtrit(df, (1 + level) / 2)) * error
    p_value = float(2 * special.stdtr(df, -abs(statistic)))
    return Estimate(
        value, value - half, value + half, p_value, level, method, method,
        statistic=statistic, df=df, standard_error=error,
    )  # fmt: skip


def _degrees_of_freedom(control: Moments, treatment: Moments) -> float:
    # Satterthwaite (1946), Biometrics Bulletin 2:110. Divided by the larger share first: the
    # squares of very small variances would otherwise vanish.
    one, other = control.variance / control.n, treatment.variance / treatment.n
    one, other = one / max(one, other), other / max(one, other)
    return (one + other) ** 2 / (one**2 / (control.n - 1) + other**2 / (treatment.n - 1))


def _reason(control: Moments, treatment: Moments) -> str:
    for arm, name in ((control, "the control"), (treatment, "this arm")):
        if not arm.n:
            return f"nobody is counted in {name} yet"
    for arm, name in ((control, "the control"), (treatment, "this arm")):
        if arm.n == 1:
            return f"only one outcome is counted in {name}, which says nothing about the spread"
    if control.variance == treatment.variance == 0:
        return "no outcome varies within either arm, so chance cannot be told from effect"
    return ""


def _unknown(value: float, method: str, level: float, reason: str) -> Estimate:
    return Estimate(value, UNKNOWN, UNKNOWN, UNKNOWN, level, method, "none", reason)
