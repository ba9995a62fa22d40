"""Permutation tests with their inverted intervals, for small and sparse arms.

One compares the means of two arms, the other the mean of paired differences with 0.
"""

from dataclasses import dataclass
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from experiments.stats.sufficient import Frequencies

DRAWS = 9_999
# The same data must give the same report.
_SEED = 20_250_901


@dataclass(frozen=True)
class Shift:
    """The interval of a difference of means, and the p-value of no difference.

    The limits are infinite if there are too few ways to assign the learners to the arms, or too few
    draws for the level.
    """

    low: float
    high: float
    p_value: float


def permutation_shift(
    control: Frequencies, treatment: Frequencies, *, level: float = 0.95, draws: int = DRAWS
) -> Shift:
    """Return the two-sided permutation test of equal means, and its inverted interval.

    Each draw assigns the same learners to the two arms again, so that k learners of each arm
    change places. Under the hypothesis that the treatment adds d to every outcome, a draw is at
    least as extreme as the observed arms exactly if its k treated learners exceed its k controls by
    at most d on average. So the limits are quantiles of that average, and the interval holds
    exactly the values of d that the test does not reject. The observed arms count as one more draw,
    so fair draws are rejected at most as often as the level allows.
    Pitman (1937), Supplement to the Journal of the Royal Statistical Society 4:119. Garthwaite
    (1996), Biometrics 52:1387, inverts the test.
    """
    return _shift(*_excess(control, treatment, draws), level=level, draws=draws)


def sign_flip_shift(changes: Frequencies, *, level: float = 0.95, draws: int = DRAWS) -> Shift:
    """Return the two-sided sign-flip test of a mean change of 0, and its inverted interval.

    Each draw turns the signs of some learners' changes, each with a chance of one half. Under the
    hypothesis that the changes lie symmetrically around d, a draw is at least as extreme as the
    observed changes exactly if the changes that it turns are at most d on average. So the limits
    are quantiles of the means of random subsets. Fisher (1935), The Design of Experiments, section
    21, has the test; Hartigan (1969), Journal of the American Statistical Association 64:1303, the
    subsets.
    """
    rng = np.random.default_rng(_SEED)
    total, size = np.zeros(draws), np.zeros(draws, dtype=np.int64)
    for value, times in changes:
        turned = rng.binomial(times, 0.5, size=draws)
        total += value * turned
        size += turned
    some = size > 0
    return _shift(total[some] / size[some], draws - int(some.sum()), level=level, draws=draws)


def _shift(excess: NDArray[np.float64], stays: int, *, level: float, draws: int) -> Shift:
    """Return the interval and the test from the draws that change something, and the others."""
    at_most = np.sort(np.concatenate([np.full(stays, -inf), excess]))
    at_least = np.sort(np.concatenate([excess, np.full(stays, inf)]))
    fewest = min(int((at_most <= 0).sum()), int((at_least >= 0).sum()))
    p_value = min(2 * (1 + fewest) / (draws + 1), 1.0)
    if least_p_value(draws) >= 1 - level:
        return Shift(-inf, inf, p_value)
    # The first rank at which the test does not reject.
    place = max(ceil((1 - level) * (draws + 1) / 2 - 1), 1)
    return Shift(float(at_most[place - 1]), float(at_least[-place]), p_value)


def least_p_value(draws: int) -> float:
    """Return the smallest p-value that so many draws can have."""
    return 2 / (draws + 1)


def _excess(
    control: Frequencies, treatment: Frequencies, draws: int
) -> tuple[NDArray[np.float64], int]:
    """Return the mean outcome of learners leaving the treatment minus that of those entering it.

    There is one number per draw in which learners change places. Return also the number of other
    draws.
    """
    rng = np.random.default_rng(_SEED)
    controls, treated = (sum(times for _, times in arm) for arm in (control, treatment))
    exchanged = rng.hypergeometric(controls, treated, treated, size=draws)
    exchanged = exchanged[exchanged > 0]
    entering = _sum_of_some(control, exchanged, rng)
    leaving = _sum_of_some(treatment, exchanged, rng)
    return (leaving - entering) / exchanged, draws - exchanged.size


def _sum_of_some(
    arm: Frequencies, chosen: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return for each draw the sum of `chosen` outcomes, sampled without replacement."""
    total, wanted = np.zeros(chosen.size), chosen.copy()
    left = sum(times for _, times in arm)
    # Value by value: the time depends on the number of values, not on the number of learners.
    for value, times in arm:
        left -= times
        taken = rng.hypergeometric(times, left, wanted)
        total += value * taken
        wanted -= taken
    return total
