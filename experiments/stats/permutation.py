"""A permutation test of two means with its inverted interval, for small and sparse arms."""

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
    """By how much outcomes of the treatment differ from the control's, and the test of 0.

    The limits are infinite where the learners can be dealt out in too few ways to tell.
    """

    low: float
    high: float
    p_value: float


def permutation_shift(
    control: Frequencies, treatment: Frequencies, *, level: float = 0.95, draws: int = DRAWS
) -> Shift:
    """Return the two-sided test that the draw alone made the means differ, and its interval.

    Each draw deals the same learners out to the two arms anew, so that k of each arm change
    places. Where a treated learner's outcome is larger by d, that is no less extreme than what was
    seen exactly if the k treated exceeded the k controls by at most d on average: the limits are
    quantiles of that average, and hold exactly the d that the test does not reject. The seen arms
    count as one more draw, so no more than the level's share of fair draws is rejected.
    Pitman (1937), Supplement to the Journal of the Royal Statistical Society 4:119; Garthwaite
    (1996), Biometrics 52:1387, inverts it.
    """
    excess, stays = _excess(control, treatment, draws)
    at_most = np.sort(np.concatenate([np.full(stays, -inf), excess]))
    at_least = np.sort(np.concatenate([excess, np.full(stays, inf)]))
    fewest = min(int((at_most <= 0).sum()), int((at_least >= 0).sum()))
    # The first place at which the test below no longer rejects.
    place = max(ceil((1 - level) * (draws + 1) / 2 - 1), 1)
    return Shift(
        low=float(at_most[place - 1]),
        high=float(at_least[-place]),
        p_value=min(2 * (1 + fewest) / (draws + 1), 1.0),
    )


def _excess(
    control: Frequencies, treatment: Frequencies, draws: int
) -> tuple[NDArray[np.float64], int]:
    """Return by how much those leaving the treatment exceed those entering it, on average.

    One number for each draw in which somebody changes places, and the number of other draws.
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
    """Return the summed outcomes of so many learners, chosen without replacement, by draw."""
    total, wanted = np.zeros(chosen.size), chosen.copy()
    left = sum(times for _, times in arm)
    # Value by value: the time grows with the number of values and not with that of learners.
    for value, times in arm:
        left -= times
        taken = rng.hypergeometric(times, left, wanted)
        total += value * taken
        wanted -= taken
    return total
