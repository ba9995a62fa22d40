"""False positives of means of skewed counts, in arms of one size and of several."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import scipy
from numpy.typing import NDArray

from experiments.stats.certificates.promise import SEED, Measured, Promise, Subject, share
from experiments.stats.estimate import Estimate
from experiments.stats.means import mean_difference, relative_mean
from experiments.stats.sufficient import Moments

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]

# The precision of a permutation's p-value; a fair one is small as often with any number.
_PERMUTATIONS = 999
_BATCH = 500


def _poisson(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.poisson(0.1, shape).astype(np.float64)


def _a_tenth(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return (rng.random(shape) < 0.1) * (1.0 + rng.poisson(3, shape))


def _negative_binomial(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    # A Poisson of a gamma with mean 1 and shape .2.
    return rng.poisson(rng.gamma(0.2, 5.0, shape)).astype(np.float64)


DRAWS: dict[str, Draw] = {
    "Poisson .1": _poisson,
    "10 % do 1 + Poisson 3": _a_tenth,
    "negative binomial, mean 1, k .2": _negative_binomial,
}


def count_promises(arms: Sequence[tuple[int, int]], *, runs: int) -> Iterator[Promise]:
    """Yield promises on each distribution for arms of these sizes."""
    for name, draw in DRAWS.items():
        for sizes in arms:
            what = f"{name}, {sizes[0]} against {sizes[1]}"
            measure = partial(false_positives, draw, sizes, runs)
            yield Promise(Subject.COUNTS, what, measure, high=0.055)


def agreement_promises(*, runs: int) -> Iterator[Promise]:
    """Yield the promise that difference and relative lift of means never disagree about 0."""
    what = f"{runs:,} samples of counts, 2 to 80 per arm: disagreements"
    yield Promise(Subject.AGREEMENT, what, partial(_disagreements, runs), high=0)


def false_positives(draw: Draw, sizes: tuple[int, int], runs: int) -> Measured:
    """Return how often a report finds a difference between two arms of one distribution."""
    rng, found = np.random.default_rng(SEED), 0
    for start in range(0, runs, _BATCH):
        number = min(_BATCH, runs - start)
        one, other = (draw(rng, (number, size)) for size in sizes)
        # A report's p-value is never below Welch's, so only these samples can look different.
        for place in np.flatnonzero(welch_p_values(one, other) < 0.05):
            found += _compare(one[place], other[place]).is_significant
    return share(found, runs)


def welch_p_values(control: Floats, treatment: Floats) -> Floats:
    """Return the p-value of Welch's test of each row, 1 where nothing varies."""
    spreads = [arm.var(axis=1, ddof=1) / arm.shape[1] for arm in (control, treatment)]
    total = spreads[0] + spreads[1]
    varies = total > 0
    apart = np.abs(treatment.mean(axis=1) - control.mean(axis=1))
    parts = spreads[0] ** 2 / (control.shape[1] - 1) + spreads[1] ** 2 / (treatment.shape[1] - 1)
    df = np.divide(total**2, parts, out=np.ones_like(total), where=varies)
    t = np.divide(apart, np.sqrt(total), out=np.zeros_like(total), where=varies)
    found: Floats = 2 * scipy.special.stdtr(df, -t)
    return found


def _compare(control: Floats, treatment: Floats) -> Estimate:
    return mean_difference(
        Moments.from_array(control), Moments.from_array(treatment), draws=_PERMUTATIONS
    )


def _disagreements(runs: int) -> Measured:
    rng, found = np.random.default_rng(SEED), 0
    for _ in range(runs):
        mean, sizes = rng.choice([0.1, 0.5, 2.0]), rng.integers(2, 80, 2)
        one, other = (
            Moments.from_array(rng.negative_binomial(1, 1 / (1 + mean), size)) for size in sizes
        )
        difference = mean_difference(one, other, draws=99)
        lift = relative_mean(one, other, difference)
        found += difference.excludes_zero != difference.is_significant
        found += lift.has_interval and lift.excludes_zero != difference.excludes_zero
    return Measured(found)
