"""Quantiles of an arm's outcomes, with intervals that hold for any distribution and for small arms.

There is one definition of a quantile: the smallest outcome that at least this share of the learners
do not exceed. So it is an outcome that occurred and no rounding enters, while interpolations differ
in the last bit between numpy and databases. The median of an even number is the lower middle one.
Arms without frequencies are empty arms. `Moments` of a large arm has none, so it will not do here.
"""

from fractions import Fraction
from math import inf, isinf

import numpy as np
import scipy
from numpy.typing import NDArray

from experiments.stats.estimate import NOBODY, UNKNOWN, Estimate, unknown
from experiments.stats.sufficient import Frequencies

_Numbers = NDArray[np.float64]

_METHOD = "order statistics"
_DIFFERENCE = "melded order statistics"
_TOO_FEW = "too few learners are counted for an interval of this quantile"
# Values at the ends with a smaller chance count as infinite. The interval only widens.
_UNLIKELY = 1e-9
# More values than this are grouped before they are compared in pairs. The interval only widens.
_MOST_VALUES = 1_000


def quantile(frequencies: Frequencies, *, share: float | Fraction) -> float:
    """Return the smallest outcome that at least `share` of the learners do not exceed.

    It is nan for an empty arm. Hyndman and Fan (1996), The American Statistician 50:361, definition
    1; `percentile_disc` of PostgreSQL. Raise ValueError unless the share lies between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError("The share of a quantile lies between 0 and 1.")
    # As it is written: 0.07 of 100 learners are 7, though the float 0.07 is a little more.
    needed = Fraction(str(share)) * sum(times for _, times in frequencies)
    reached = 0
    for value, times in frequencies:
        reached += times
        if reached >= needed:
            return value
    return UNKNOWN


def arm_quantile(frequencies: Frequencies, *, share: float, level: float = 0.95) -> Estimate:
    """Return the quantile of one arm, in the outcome's unit, with its interval.

    The limits are outcomes. They hold for every distribution, since the number of learners below
    the true quantile is binomial; each limit errs in at most half of 1 - level. There is no
    interval, with a reason, if the arm is too small. Thompson (1936), Annals of Mathematical
    Statistics 7:122.
    """
    value = quantile(frequencies, share=share)
    if not frequencies:
        return unknown(value, level=level, reason=NOBODY.format("this arm"))
    tail = (1 - level) / 2
    below, above = _chances(frequencies, share)
    values = _ends(frequencies)
    low = values[int(np.searchsorted(np.cumsum(below), tail, side="right"))]
    high = values[values.size - 1 - int(np.searchsorted(np.cumsum(above[::-1]), tail, "right"))]
    if isinf(low) or isinf(high):
        return unknown(value, level=level, reason=_TOO_FEW)
    return Estimate(value, float(low), float(high), UNKNOWN, level, _METHOD, "none")


def quantile_difference(
    control: Frequencies, treatment: Frequencies, *, share: float, level: float = 0.95
) -> Estimate:
    """Return the treatment's quantile minus the control's, with its interval.

    The two arms' own limits at random levels are subtracted, and the interval lies between the
    quantiles of these differences. It assumes neither that the treatment only shifts the outcomes
    nor that they have no ties, and it holds for small arms, at the price of width (Fay, Proschan
    and Brittain 2015, Biometrics 71:146). There is no interval, with a reason, if an arm is too
    small.
    """
    value = quantile(treatment, share=share) - quantile(control, share=share)
    for arm, name in ((control, "the control"), (treatment, "this arm")):
        if not arm:
            return unknown(value, level=level, reason=NOBODY.format(name))
    tail = (1 - level) / 2
    low, at_most_0 = _lower(treatment, control, share, tail)
    high, at_least_0 = _lower(control, treatment, share, tail)
    if isinf(low) or isinf(high):
        return unknown(value, level=level, reason=_TOO_FEW)
    p_value = min(2 * min(at_most_0, at_least_0), 1.0)
    return Estimate(value, low, 0.0 - high, p_value, level, _DIFFERENCE, _DIFFERENCE)


def _lower(one: Frequencies, other: Frequencies, share: float, tail: float) -> tuple[float, float]:
    """Return the lower limit of one quantile minus another, and the chance of at most 0."""
    lows, low_chances = _likely(_ends(one), _chances(one, share)[0])
    highs, high_chances = _likely(-_ends(other)[::-1], _chances(other, share)[1][::-1])
    with np.errstate(over="ignore"):
        differences = np.add.outer(lows, highs).ravel()
    order = np.argsort(differences, kind="stable")
    differences = differences[order]
    reached = np.cumsum(np.multiply.outer(low_chances, high_chances).ravel()[order])
    place = min(int(np.searchsorted(reached, tail, side="right")), order.size - 1)
    up_to_0 = int(np.searchsorted(differences, 0.0, side="right"))
    return float(differences[place]), float(reached[up_to_0 - 1]) if up_to_0 else 0.0


def _likely(values: _Numbers, chances: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Return the likely values in groups. All others move down, so that the limit only falls."""
    reached = np.cumsum(chances)
    is_likely = (reached > _UNLIKELY) & (reached - chances < 1 - _UNLIKELY)
    values, chances = values[is_likely], chances[is_likely]
    first = np.arange(0, values.size, -(-values.size // _MOST_VALUES))
    lost = max(1 - float(chances.sum()), 0.0)
    return np.append(-inf, values[first]), np.append(lost, np.add.reduceat(chances, first))


def _ends(frequencies: Frequencies) -> _Numbers:
    return np.array([-inf, *(value for value, _ in frequencies), inf])


def _chances(frequencies: Frequencies, share: float) -> tuple[_Numbers, _Numbers]:
    """Return the chance of each end as the lower limit at a random level, and as the upper one.

    If b of n learners lie below the true quantile, which has a binomial chance, the lower limit is
    the b-th outcome and the upper one the next.
    """
    sizes = [times for _, times in frequencies]
    n, up_to = sum(sizes), np.cumsum([0.0, *sizes])
    # Outcome number i is at most value j exactly if i <= up_to[j].
    lower = np.append(_at_most(up_to, n, share), 1.0)
    upper = np.concatenate([[0.0], _at_most(up_to[1:] - 1, n, share), [1.0]])
    return np.diff(lower, prepend=0.0), np.diff(upper, prepend=0.0)


def _at_most(successes: _Numbers, n: int, share: float) -> _Numbers:
    """Return the binomial chance of at most so many. The function of scipy takes no large n."""
    others = np.maximum(n - successes, 1.0)
    found: _Numbers = scipy.special.betainc(others, successes + 1, 1 - share)
    return np.where(successes >= n, 1.0, found)
