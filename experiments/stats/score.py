"""The score test of two rates and its intervals (Miettinen and Nurminen).

One statistic gives the test, the interval of the difference and the interval of the ratio, so the
three never contradict each other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from experiments.stats.estimate import UNKNOWN
from experiments.stats.limits import turning_point
from experiments.stats.sufficient import Counts

Floats = npt.NDArray[np.float64]

_TOLERANCE = 1e-13


def score_statistic(control: Counts, treatment: Counts) -> float:
    """Return z of the test of two equal rates; nan if no learner or every learner had the outcome.

    z = (p1 - p0) / sqrt(p (1 - p) (1/n0 + 1/n1) N / (N - 1)), p the pooled rate and N = n0 + n1.
    Miettinen and Nurminen (1985), Statistics in Medicine 4:213, equations 8 and 9 at difference 0.
    Its square is the N - 1 chi-square that Campbell (2007), Statistics in Medicine 26:3661,
    recommends.
    """
    pooled = control + treatment
    if pooled.successes in (0, pooled.n):
        return UNKNOWN
    return float(difference_statistic(*_sizes(control, treatment), *_seen(control, treatment), 0.0))


def score_p_value(control: Counts, treatment: Counts) -> float:
    """Return the two-sided p-value of `score_statistic`; 1 if all outcomes are the same."""
    z = score_statistic(control, treatment)
    return 1.0 if np.isnan(z) else float(2 * scipy.special.ndtr(-abs(z)))


def score_difference_limits(
    control: Counts, treatment: Counts, *, level: float
) -> tuple[float, float]:
    """Return the limits (-1..1) of treatment rate minus control rate by the score test.

    Each limit is the difference d at which (p1 - p0 - d) / s(d) is the normal quantile. s(d) comes
    from the maximum-likelihood rates among those that differ by d. Miettinen and Nurminen (1985),
    equations 8 and 9.
    """
    return _limits(control, treatment, DIFFERENCE, treatment.rate - control.rate, level)


def score_ratio_limits(control: Counts, treatment: Counts, *, level: float) -> tuple[float, float]:
    """Return the limits (0..infinity) of treatment rate / control rate by the score test.

    As for the difference, with (p1 - r p0) / s(r). Miettinen and Nurminen (1985), equation 10.
    Without their factor N / (N - 1) it is Koopman's interval (1984), Biometrics 40:513. At a ratio
    of 1 the statistic is that of `score_statistic`. A control rate of 0 raises ZeroDivisionError.
    """
    value = treatment.rate / (treatment.rate + control.rate)
    low, high = _limits(control, treatment, RATIO, value, level)
    return ratio_of(low), ratio_of(high)


def ratio_of(share: float) -> float:
    """Return the ratio r of the share r / (1 + r), infinity for a share of 1."""
    return share / (1 - share) if share < 1 else float("inf")


def difference_statistic(n0: int, n1: int, x0: Floats, x1: Floats, difference: float) -> Floats:
    """Return z of the hypothesis that the rates differ by `difference`, for tables of successes.

    If nothing varies, it is 0 for a table that fits the hypothesis exactly, and infinite otherwise.
    """
    rate0, rate1 = restricted_rates(n0, n1, x0, x1, difference)
    variance = rate0 * (1 - rate0) / n0 + rate1 * (1 - rate1) / n1
    return _standardized(x1 / n1 - x0 / n0 - difference, variance, n0 + n1)


def ratio_statistic(n0: int, n1: int, x0: Floats, x1: Floats, share: float) -> Floats:
    """Return z of the hypothesis that treatment rate / control rate is share / (1 - share).

    Both sides are multiplied by 1 - share, so that every ratio from 0 to infinity is a number from
    0 to 1. Maximum-likelihood rates: Miettinen and Nurminen (1985), appendix II.
    """
    s, total = share, x0 + x1
    b = n1 * s + x1 * (1 - s) + n0 * (1 - s) + x0 * s
    root = np.sqrt(np.maximum(b * b - 4 * (n0 + n1) * s * total * (1 - s), 0.0))
    likeliest = 2 * total / (b + root)
    rate0, rate1 = np.minimum(likeliest * (1 - s), 1.0), np.minimum(likeliest * s, 1.0)
    variance = s * s * rate0 * (1 - rate0) / n0 + (1 - s) * (1 - s) * rate1 * (1 - rate1) / n1
    return _standardized((1 - s) * x1 / n1 - s * x0 / n0, variance, n0 + n1)


def restricted_rates(
    n0: int, n1: int, x0: Floats, x1: Floats, difference: float
) -> tuple[Floats, Floats]:
    """Return the maximum-likelihood control and treatment rates that differ by `difference`.

    They are the closed root of the cubic of Miettinen and Nurminen, as in Farrington and Manning
    (1990), Statistics in Medicine 9:1447, appendix.
    """
    d, theta = difference, n0 / n1
    p0, p1 = x0 / n0, x1 / n1
    a = 1 + theta
    b = -(1 + theta + p1 + theta * p0 + d * (theta + 2)) / (3 * a)
    c = (d * d + d * (2 * p1 + theta + 1) + p1 + theta * p0) / a
    # Products, because numpy takes hundreds of times as long for a power of negative numbers.
    v = b * b * b - b * c / 2 - p1 * d * (1 + d) / (2 * a)
    # Rounding can make the radicand negative and the cosine larger than 1.
    u = np.copysign(np.sqrt(np.maximum(b * b - c / 3, 0.0)), v)
    cosine = np.divide(v, u * u * u, out=np.ones_like(u), where=u != 0)
    w = (np.pi + np.arccos(np.clip(cosine, -1.0, 1.0))) / 3
    rate1 = np.clip(2 * u * np.cos(w) - b, max(0.0, d), min(1.0, 1 + d))
    return np.clip(rate1 - d, 0.0, 1.0), rate1


def _standardized(apart: Floats, variance: Floats, n: int) -> Floats:
    spread = np.sqrt(variance * n / (n - 1))
    whole = np.where(apart == 0, 0.0, np.copysign(np.inf, apart))
    found: Floats = np.divide(apart, spread, out=whole, where=spread > 0)
    return found


@dataclass(frozen=True)
class Scale:
    """A way to compare two rates: its statistic, and the parameter at its ends and at no effect."""

    statistic: Callable[..., Floats]
    low: float
    high: float
    null: float


DIFFERENCE = Scale(difference_statistic, -1.0, 1.0, 0.0)
# The parameter is r / (1 + r), so that every ratio r is a number from 0 to 1.
RATIO = Scale(ratio_statistic, 0.0, 1.0, 0.5)


def _limits(
    control: Counts, treatment: Counts, scale: Scale, value: float, level: float
) -> tuple[float, float]:
    sizes, seen = _sizes(control, treatment), _seen(control, treatment)
    z, null = float(scipy.special.ndtri((1 + level) / 2)), scale.null

    def above(parameter: float) -> float:
        return float(scale.statistic(*sizes, *seen, parameter)) - z

    def below(parameter: float) -> float:
        return -float(scale.statistic(*sizes, *seen, parameter)) - z

    return (
        turning_point(above, end=scale.low, value=value, null=null, tolerance=_TOLERANCE),
        turning_point(below, end=scale.high, value=value, null=null, tolerance=_TOLERANCE),
    )


def _sizes(control: Counts, treatment: Counts) -> tuple[int, int]:
    return control.n, treatment.n


def _seen(control: Counts, treatment: Counts) -> tuple[Floats, Floats]:
    return np.float64(control.successes), np.float64(treatment.successes)  # type: ignore[return-value]
