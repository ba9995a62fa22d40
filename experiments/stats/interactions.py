"""Whether an effect differs between two parts of the learners, such as the arms of another draw."""

from dataclasses import dataclass
from math import sqrt

from experiments.stats.estimate import UNKNOWN, Estimate, t_estimate, unknown
from experiments.stats.sufficient import Counts, Moments

_METHOD = "difference of differences, Welch t"
_TOO_FEW = "fewer than two learners are in one of the four combinations of arms"
_NO_SPREAD = "no outcome varies"


@dataclass(frozen=True)
class Part:
    """The outcomes of the control and of the treatment in one part of the learners."""

    control: Moments
    treatment: Moments


def interaction(one: Part, other: Part, *, level: float = 0.95) -> Estimate:
    """Return the effect in the other part minus the effect in the one, with its interval.

    It is (t2 - c2) - (t1 - c1) of the four means. The variances may differ, and the degrees of
    freedom are Satterthwaite's, V^2 / sum(v_i^2 / (n_i - 1)) with v_i = s_i^2 / n_i and V their
    sum: Satterthwaite (1946), Biometrics Bulletin 2:110. Nan with a reason if one of the four has
    fewer than two learners, or nothing varies.
    """
    cells = (one.control, one.treatment, other.control, other.treatment)
    if min(cell.n for cell in cells) < 2:
        return unknown(UNKNOWN, level=level, reason=_TOO_FEW)
    value = (other.treatment.mean - other.control.mean) - (one.treatment.mean - one.control.mean)
    spreads = [cell.variance / cell.n for cell in cells]
    whole = sum(spreads)
    if not whole:
        return unknown(value, level=level, reason=_NO_SPREAD)
    # As shares of the whole, because squares of very small variances underflow.
    parts = [
        (spread / whole) ** 2 / (cell.n - 1) for spread, cell in zip(spreads, cells, strict=True)
    ]
    return t_estimate(value, sqrt(whole), 1 / sum(parts), level=level, method=_METHOD)


def as_moments(sums: Counts | Moments) -> Moments:
    """Return a rate as the mean of zeros and ones, and a mean as it is."""
    if isinstance(sums, Moments):
        return sums
    return Moments.from_frequencies([(0, sums.n - sums.successes), (1, sums.successes)])
