"""The difference that a comparison can find, and the number of learners that it needs. Pure.

The power of two rates is that of the test that reports use (`rates.rate_test`). It is the
probability of finding a rise when the treatment's rate is higher.

If the smaller arm has at most 100 learners, the test is Boschloo's, and the power is the sum of
the probabilities of all tables at which it finds a rise. Larger arms have the score test. Its
power is the normal approximation with the pooled variance under "no difference" and the separate
variances otherwise: Fleiss, Levin and Paik (2003), Statistical Methods for Rates and Proportions,
3rd edition, section 4.2, without the correction for continuity.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, sqrt
from typing import Any

import scipy

from common.lazy import LazyModule
from experiments.stats import boschloo, tables
from experiments.stats.estimate import UNKNOWN
from experiments.stats.rates import SMALL_ARM
from experiments.stats.sufficient import Counts

# Loading takes a second.
_power: Any = LazyModule("statsmodels.stats.power")

LEVEL, POWER = 0.95, 0.8
# If there are too many tables to count and an arm is smaller than this, the normal approximation
# promises too much: 1 learner against 100,000 at a rate of .3 would have a power of .94, not .70.
_LEAST_APPROXIMATED = 30
_ROUNDING = 1e-9

_EMPTY = "an arm without a learner cannot be compared"
_TOO_FEW = "so few learners could differ by chance even if it is nobody against everybody"
_EVERYBODY = "nobody is left who would not do it anyway"
_MISSED = "even if the messages led everybody to do it, chance would often hide it"
_UNEQUAL = "one arm is too small beside the other for its power to be computed"


@dataclass(frozen=True)
class Detectable:
    """The smallest rise of a rate (0..1) that is found with the wanted power.

    If there is none, it is nan, with a `reason`.
    """

    rise: float
    reason: str = ""


@lru_cache(maxsize=512)
def detectable_difference(
    control_n: int, treatment_n: int, *, baseline: float, level: float = LEVEL, power: float = POWER
) -> Detectable:
    """Return the smallest rise above the control's rate `baseline` that is found with the power.

    Larger rises are found more often. Raise ValueError for a baseline outside 0..1, or a power that
    is not between half the test's error rate and 1.
    """
    _check(baseline, level, power)
    reason = _reason(control_n, treatment_n, baseline, level)
    if reason:
        return Detectable(UNKNOWN, reason)

    def beyond(rise: float) -> float:
        return rise_power(control_n, treatment_n, baseline=baseline, rise=rise, level=level) - power

    if beyond(1 - baseline) < 0:
        return Detectable(UNKNOWN, _MISSED)
    return Detectable(float(scipy.optimize.brentq(beyond, 0.0, 1 - baseline, xtol=1e-7)))


def rise_power(
    control_n: int, treatment_n: int, *, baseline: float, rise: float, level: float = LEVEL
) -> float:
    """Return the probability of finding the rise of a rate from `baseline` to baseline + rise."""
    rate = min(baseline + rise, 1.0)
    if _is_exact(control_n, treatment_n):
        return boschloo.chance_of_rise(control_n, treatment_n, baseline, rate, level=level)
    return _normal_power(control_n, treatment_n, baseline, rate, level)


def needed_per_arm(
    *, baseline: float, lift: float, level: float = LEVEL, power: float = POWER
) -> int:
    """Return the learners that each of two equal arms needs to find the lift with the power.

    The lift is the treatment's rate minus the control's. One learner less per arm is not enough.
    Raise ValueError if either rate is outside 0..1, or the lift is 0.
    """
    _check(baseline, level, power)
    # A fall of the learners who do it is a rise of those who do not.
    rate, rise = (baseline, lift) if lift > 0 else (1 - baseline, -lift)
    if not 0 < rise <= 1 - rate + _ROUNDING:
        raise ValueError("The lift must not be 0, and both shares must be from 0 to 1.")
    number = ceil(_normal_size(rate, min(rate + rise, 1.0), level, power) - _ROUNDING)
    if number > SMALL_ARM:
        return number

    def is_enough(n: int) -> bool:
        return rise_power(n, n, baseline=rate, rise=rise, level=level) >= power

    while not is_enough(number):
        number += 1
    while number > 1 and is_enough(number - 1):
        number -= 1
    return number


def needed_for_means(effect: float, *, level: float = LEVEL, power: float = POWER) -> int:
    """Return the learners that each of two equal arms needs to find a difference of means.

    `effect` is the difference in standard deviations. Two-sided t test: Cohen (1988), Statistical
    Power Analysis for the Behavioral Sciences, 2nd edition, section 2.4.
    """
    test = _power.TTestIndPower()
    per_arm: float = test.solve_power(effect_size=effect, alpha=1 - level, power=power)
    return ceil(per_arm)


def design_effect(icc: float, cluster_size: float, *, variation: float = 0.0) -> float:
    """Return the factor by which whole clusters need more learners than single ones.

    It is 1 + icc ((m - 1) + m CV^2). `icc` is the intraclass correlation (0..1), m the mean size of
    the clusters, and CV the coefficient of variation of their sizes. Eldridge, Ashby and Kerry
    (2006), International Journal of Epidemiology 35:1292; Kish (1965), Survey Sampling, section
    5.4, for equal sizes.
    """
    if not 0 <= icc <= 1 or cluster_size < 1:
        raise ValueError("The correlation is from 0 to 1, and a cluster has at least one learner.")
    return 1 + icc * ((cluster_size - 1) + cluster_size * variation * variation)


def _check(baseline: float, level: float, power: float) -> None:
    if not 0 <= baseline <= 1:
        raise ValueError("The baseline is a share, from 0 to 1.")
    if not 0 < level < 1 or not (1 - level) / 2 < power < 1:
        raise ValueError("The power must be below 1 and above half the error rate of the test.")


def _reason(n0: int, n1: int, baseline: float, level: float) -> str:
    if min(n0, n1) < 1:
        return _EMPTY
    if boschloo.least_p_value(Counts(0, n0), Counts(0, n1)) >= 1 - level:
        return _TOO_FEW
    if baseline >= 1:
        return _EVERYBODY
    is_rough = not _is_exact(n0, n1) and min(n0, n1) < _LEAST_APPROXIMATED
    return _UNEQUAL if is_rough else ""


def _is_exact(n0: int, n1: int) -> bool:
    return min(n0, n1) <= SMALL_ARM and tables.is_countable(n0, n1)


def _normal_power(n0: int, n1: int, rate0: float, rate1: float, level: float) -> float:
    pooled = (n0 * rate0 + n1 * rate1) / (n0 + n1)
    under_none = sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
    spread = sqrt(rate0 * (1 - rate0) / n0 + rate1 * (1 - rate1) / n1)
    beyond = rate1 - rate0 - _quantile((1 + level) / 2) * under_none
    if not spread:
        return float(beyond > 0)
    return float(scipy.special.ndtr(beyond / spread))


def _normal_size(rate0: float, rate1: float, level: float, power: float) -> float:
    """Return the size of each of two equal arms at which `_normal_power` is the power."""
    mean = (rate0 + rate1) / 2
    under_none = _quantile((1 + level) / 2) * sqrt(2 * mean * (1 - mean))
    spread = _quantile(power) * sqrt(rate0 * (1 - rate0) + rate1 * (1 - rate1))
    return ((under_none + spread) / (rate1 - rate0)) ** 2


def _quantile(share: float) -> float:
    return float(scipy.special.ndtri(share))
