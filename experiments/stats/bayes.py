"""A Bayesian reading of an estimate, beside its test: what to believe after the experiment."""

from dataclasses import dataclass
from math import inf, isfinite, sqrt

import scipy

from experiments.stats.estimate import UNKNOWN, Estimate

# Of effects on learning, those above 0.2 standard deviations are large (Kraft 2020, Educational
# Researcher 49:241). This prior expects one effect in twenty beyond that, in either direction.
PRIOR_SPREAD = 0.1

_NO_ERROR = "the estimate has no standard error"


@dataclass(frozen=True)
class Belief:
    """A normal posterior: its mean, its interval, and the chance that the true effect is above 0.

    Numbers that are not known are nan, with a `reason`.
    """

    mean: float
    spread: float
    low: float
    high: float
    chance_above: float
    level: float
    reason: str = ""


def belief(estimate: Estimate, *, prior_spread: float) -> Belief:
    """Return the posterior of an effect, in its unit, at the level of the estimate.

    The estimate is normal around the true effect with its standard error, and the prior is N(0,
    prior_spread^2) in the same unit: PRIOR_SPREAD times the standard deviation of the control's
    outcomes, if nothing better is known. A prior_spread of infinity is the flat prior: then mean
    and error are those of the estimate. An estimate without a value or an error gives nan with a
    reason. Raise ValueError for a prior_spread that is not above 0. Gelman et al. (2013), Bayesian
    Data Analysis, equations 2.11 and 2.12.
    """
    if not prior_spread > 0:
        raise ValueError("The spread of the prior must be above 0.")
    error = estimate.standard_error
    if not (isfinite(estimate.value) and isfinite(error) and error > 0):
        reason = estimate.reason or _NO_ERROR
        return Belief(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, estimate.level, reason)
    # Divided first, because the squares of very large or small numbers would overflow.
    ratio = 0.0 if prior_spread == inf else error / prior_spread
    weight = 1 / (1 + ratio * ratio) if ratio < 1e150 else 0.0
    mean, spread = estimate.value * weight, error * sqrt(weight)
    half = float(scipy.special.ndtri((1 + estimate.level) / 2)) * spread
    chance = float(scipy.special.ndtr(mean / spread)) if spread else 0.5
    return Belief(mean, spread, mean - half, mean + half, chance, estimate.level)
