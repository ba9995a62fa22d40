"""The same experiment in several courses: their mean effect, and what a new course may expect."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
import scipy
from numpy.typing import NDArray

from experiments.stats.estimate import UNKNOWN, Estimate, t_estimate, t_quantile, unknown

_Numbers = NDArray[np.float64]

_METHOD = "Hartung-Knapp t"
# Relative to the largest effect or error. A smaller error would weigh the same.
_LEAST_ERROR = 1e-60
_STEPS = 200
_NONE = "no course has an effect with a standard error"
_ONE = "only one course has an effect with a standard error, so it is not known how courses differ"
_TWO = "with two courses it is not known in which range a new one would lie"


@dataclass(frozen=True)
class Pooled:
    """The mean effect over courses, and how much the courses differ, in the unit of the effects.

    `tau_squared` is the variance of the true effects, and `i_squared` (0..1) its share of the
    variance of the estimates. The effect of a new course is expected from `new_low` to `new_high`,
    which are nan with `new_reason` for fewer than three courses. `courses` is the number pooled,
    and `left_out` is the number of courses without an effect or a standard error.
    """

    mean: Estimate
    tau_squared: float
    i_squared: float
    new_low: float
    new_high: float
    courses: int
    left_out: int
    new_reason: str = ""


def pool(effects: Sequence[Estimate], *, level: float = 0.95) -> Pooled:
    """Return the pooled effect of estimates that are in one unit, one per course.

    The courses have true effects of their own, normal with variance tau^2, which is estimated by
    restricted maximum likelihood (Viechtbauer 2005, Journal of Educational and Behavioral
    Statistics 30:261). The interval of the mean is that of Hartung and Knapp (2001), Statistics in
    Medicine 20:3875, and Sidik and Jonkman (2002): Student's with k - 1, with an error from the
    spread of the effects. It is never narrower than with the errors of the courses alone (Röver,
    Knapp and Friede 2015, BMC Medical Research Methodology 15:99), since courses that agree by
    chance would give an interval near a point. The interval of a new course is Student's with k - 2
    (Higgins, Thompson and Spiegelhalter 2009, JRSS A 172:137). If the courses differ less than
    their errors, it is too narrow (Partlett and Riley 2017, Statistics in Medicine 36:301).
    """
    known = [each for each in effects if each.has_value and 0 < each.standard_error < inf]
    left_out = len(effects) - len(known)
    if len(known) < 2:
        reason = _ONE if known else _NONE
        mean = unknown(known[0].value if known else UNKNOWN, level=level, reason=reason)
        return Pooled(mean, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, len(known), left_out, reason)
    values = np.array([each.value for each in known], dtype=np.float64)
    errors = np.array([each.standard_error for each in known], dtype=np.float64)
    # The squares of very large and very small numbers would overflow.
    unit = float(max(np.abs(values).max(), errors.max()))
    values, variances = values / unit, np.maximum(errors / unit, _LEAST_ERROR) ** 2
    tau_squared = _tau_squared(values, variances)
    mean = _mean(values, 1 / (variances + tau_squared), level=level, unit=unit)
    low, high = UNKNOWN, UNKNOWN
    if len(known) > 2:
        spread = sqrt(tau_squared + (mean.standard_error / unit) ** 2) * unit
        half = t_quantile(len(known) - 2, level) * spread
        low, high = mean.value - half, mean.value + half
    share = tau_squared / (tau_squared + _typical_variance(variances))
    reason = "" if len(known) > 2 else _TWO
    return Pooled(mean, tau_squared * unit * unit, share, low, high, len(known), left_out, reason)


def _mean(values: _Numbers, weights: _Numbers, *, level: float, unit: float) -> Estimate:
    centre = float(weights @ values / weights.sum())
    df = values.size - 1
    factor = float(weights @ (values - centre) ** 2) / df
    error = sqrt(max(factor, 1.0) / float(weights.sum())) * unit
    return t_estimate(centre * unit, error, df, level=level, method=_METHOD)


def _tau_squared(values: _Numbers, variances: _Numbers) -> float:
    """Return the maximum of the restricted likelihood, which may have several peaks."""

    def slope(tau_squared: float) -> float:
        return float(_slopes(np.array([tau_squared]), values, variances)[0])

    # Beyond the squared range of the effects, times their number, the likelihood only falls.
    largest = values.size * (float(np.ptp(values)) ** 2 + float(variances.max()))
    grid = np.concatenate([[0.0], np.geomspace(1e-4 * variances.min(), largest, _STEPS)])
    # Where the likelihood is flat, rounding makes false peaks of it, but not of its slope.
    slopes = _slopes(grid, values, variances)
    tops = np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] <= 0))
    peaks = [scipy.optimize.brentq(slope, grid[i], grid[i + 1], (), 1e-300, 1e-14) for i in tops]
    candidates = np.array([0.0, *peaks])
    return float(candidates[np.argmax(_log_likelihoods(candidates, values, variances))])


def _log_likelihoods(grid: _Numbers, values: _Numbers, variances: _Numbers) -> _Numbers:
    weights, total, residuals = _residuals(grid, values, variances)
    found: _Numbers = np.log(weights).sum(axis=1) - np.log(total)
    found -= (weights * residuals**2).sum(axis=1)
    return found


def _slopes(grid: _Numbers, values: _Numbers, variances: _Numbers) -> _Numbers:
    weights, total, residuals = _residuals(grid, values, variances)
    squares = weights**2
    found: _Numbers = (squares * residuals**2).sum(axis=1) - total
    found += squares.sum(axis=1) / total
    return found


def _residuals(
    grid: _Numbers, values: _Numbers, variances: _Numbers
) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Return the weights of the courses, their sum and the distances from the mean, by grid point.

    No matrix product is used: it rounds one grid point otherwise than many, and then the ends of a
    bracket might not have the signs that were seen.
    """
    weights: _Numbers = 1 / (variances + grid[:, np.newaxis])
    total = weights.sum(axis=1)
    centres = (weights * values).sum(axis=1) / total
    return weights, total, values - centres[:, np.newaxis]


def _typical_variance(variances: _Numbers) -> float:
    """Return the variance that stands for all in I squared.

    Higgins and Thompson (2002), Statistics in Medicine 21:1539, equation 9.
    """
    weights = np.sort(variances.min() / variances)
    # The sum of w squared minus the sum of squares, without the difference of nearly equal numbers.
    pairs = 2 * float(weights[1:] @ np.cumsum(weights)[:-1])
    return (variances.size - 1) * float(weights.sum()) / pairs * float(variances.min())
