"""Confidence sequences: intervals that hold at all times together, for a page that people reload.

An interval of 95 % that is looked at every day excludes the true difference far more often than in
5 % of experiments. A confidence sequence of 95 % excludes it at any time at all in at most 5 %. It
is wider, and narrowest in proportion at the sample that it is tuned to. For decisions at planned
dates there are looks (`looks`).
"""

from dataclasses import replace
from math import exp, inf, isnan, log, log1p, sqrt

import scipy

from experiments.stats.estimate import NOBODY, UNKNOWN, Estimate, unknown
from experiments.stats.means import welch_difference
from experiments.stats.sufficient import Counts, Moments

# The errors of smaller arms are too uncertain for an interval at every time.
FEWEST = 12

_METHOD = "confidence sequence"
_TOO_FEW = f"an interval for every day needs at least {FEWEST} learners per arm"


def sequence_interval(estimate: Estimate, *, n: int, tuned_to: float) -> Estimate:
    """Return the estimate with a confidence sequence at its level, for n learners by now.

    It is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
    (2024), Annals of Statistics 52:2613 (arXiv 2103.06476), theorem 2.2: the value plus and minus
    `sequence_multiplier` standard errors. With few degrees of freedom, the multiplier is that
    quantile of t which has the same tail. The p-value is valid at all times too, and below
    1 - level exactly where the interval excludes 0. `tuned_to` is the number of learners in the
    plan. An estimate without a standard error stays without an interval and keeps its reason.
    """
    level, error = estimate.level, estimate.standard_error
    if isnan(error) or not error > 0:
        reason = estimate.reason or "its standard error is not known"
        return unknown(estimate.value, level=level, reason=reason)
    multiplier = sequence_multiplier(n / tuned_to, level=level)
    statistic = estimate.value / error
    z = abs(statistic)
    if not isnan(estimate.df):
        multiplier = -float(scipy.special.stdtrit(estimate.df, scipy.special.ndtr(-multiplier)))
        z = -float(scipy.special.ndtri(scipy.special.stdtr(estimate.df, -z)))
    half = multiplier * error
    return replace(
        estimate, low=estimate.value - half, high=estimate.value + half, statistic=statistic,
        p_value=_p_value(z, n / tuned_to, level), method=_METHOD, test=_METHOD, reason="",
    )  # fmt: skip


def rate_sequence(
    control: Counts, treatment: Counts, *, tuned_to: float, level: float = 0.95
) -> Estimate:
    """Return treatment rate minus control rate (-1..1) with its confidence sequence.

    The standard error is `rate_error`. Arms below 12 learners give nan with a reason.
    """
    reason = _reason(control, treatment)
    value = treatment.rate - control.rate
    if reason:
        return unknown(value, level=level, reason=reason)
    plain = replace(
        unknown(value, level=level, reason=""), standard_error=rate_error(control, treatment)
    )
    found = sequence_interval(plain, n=control.n + treatment.n, tuned_to=tuned_to)
    return replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))


def mean_sequence(
    control: Moments, treatment: Moments, *, tuned_to: float, level: float = 0.95
) -> Estimate:
    """Return treatment mean minus control mean with its confidence sequence.

    The standard error is Welch's, but not below that of arms of equal spread. The arm of the few
    often has none of the large outcomes yet, and with Welch's alone the sequence would exclude "no
    difference" in 13 % of experiments without one (1 against 5, negative binomial with mean 1 and
    k .2). Arms below 12 learners give nan with a reason, and so do arms without Welch's interval.
    """
    value = treatment.average - control.average
    reason = _reason(control, treatment)
    if reason:
        return unknown(value, level=level, reason=reason)
    welch = welch_difference(control, treatment, level=level)
    if not welch.has_interval:
        return unknown(value, level=level, reason=welch.reason)
    n = control.n + treatment.n
    pooled = (control.deviations + treatment.deviations) / (n - 2)
    equal = sqrt(pooled * (1 / control.n + 1 / treatment.n))
    plain = replace(welch, standard_error=max(welch.standard_error, equal), df=UNKNOWN)
    return sequence_interval(plain, n=n, tuned_to=tuned_to)


def rate_error(control: Counts, treatment: Counts) -> float:
    """Return the standard error of the difference of two rates, with separate variances.

    Each arm counts two learners more, one of them with the outcome, so that an error of 0 from an
    arm of nobody or everybody never occurs: Agresti and Caffo (2000), The American Statistician
    54:280. As for means, it is not below that of arms of equal spread. The value itself has no such
    additions.
    """
    n0, n1 = control.n + 2, treatment.n + 2
    rate0, rate1 = (control.successes + 1) / n0, (treatment.successes + 1) / n1
    variance0, variance1 = rate0 * (1 - rate0), rate1 * (1 - rate1)
    # The pooled variance over both sizes is that with the sizes exchanged.
    return sqrt(max(variance0 / n0 + variance1 / n1, variance0 / n1 + variance1 / n0))


def sequence_multiplier(fraction: float, *, level: float = 0.95) -> float:
    """Return half the width in standard errors, with this fraction of the tuned sample (above 0).

    It is sqrt((1 + r / t) (2 log(1 / alpha) + log(1 + t / r))) with t the fraction and r `best_rho`
    for 1. It is least near the tuned sample, and there about 3.0 at a level of 95 %.
    """
    rho = best_rho(1.0, level=level)
    return mixture_bound(fraction, rho=rho, level=level) / sqrt(fraction)


def mixture_bound(variance: float, *, rho: float, level: float = 0.95) -> float:
    """Return the bound of a sum at this variance that it ever exceeds with probability 1 - level.

    Two-sided normal mixture: Howard, Ramdas, McAuliffe and Sekhon (2021), Annals of Statistics
    49:1055, equation 14.
    """
    return sqrt((variance + rho) * (-2 * log(1 - level) + log1p(variance / rho)))


def best_rho(variance: float, *, level: float = 0.95) -> float:
    """Return the rho whose mixture bound is close to the smallest at this variance.

    It is v / (2 log(1 / alpha) + log(1 + 2 log(1 / alpha))): Howard et al. (2021), proposition 3,
    with Lambert's function approximated as in their library confseq.
    """
    doubled = -2 * log(1 - level)
    return variance / (doubled + log1p(doubled))


def _p_value(z: float, fraction: float, level: float) -> float:
    """Return the least alpha at which the sequence, tuned at this level, excludes 0."""
    ratio = fraction / best_rho(1.0, level=level)
    exponent = (z * z * ratio / (1 + ratio) - log1p(ratio)) / 2
    return exp(-max(exponent, 0.0)) if exponent < inf else 0.0


def _reason(control: Counts | Moments, treatment: Counts | Moments) -> str:
    for arm, name in ((control, "the control"), (treatment, "this arm")):
        if not arm.n:
            return NOBODY.format(name)
    return _TOO_FEW if min(control.n, treatment.n) < FEWEST else ""
