"""False positives of five looks at planned dates."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import scipy
from numpy.typing import NDArray

from experiments.stats.boschloo import rising_tables
from experiments.stats.certificates.counts import DRAWS, Draw, welch_p_values
from experiments.stats.certificates.promise import SEED, Measured, Promise, Subject, share
from experiments.stats.looks import ALPHA, boundary, crossing_chance, nominal_levels
from experiments.stats.means import mean_difference
from experiments.stats.sufficient import Moments

Floats = NDArray[np.float64]
Sizes = tuple[int, int]

LOOKS = (0.2, 0.4, 0.6, 0.8, 1.0)
_BATCH = 500


def boundary_promises() -> Iterator[Promise]:
    """Yield the promise on normal statistics, by the recursion."""
    yield Promise(
        Subject.LOOKS, "normal statistics, five equal looks", _of_normal,
        low=ALPHA - 1e-9, high=ALPHA + 1e-9,
    )  # fmt: skip


def rate_look_promises(arms: Sequence[Sizes]) -> Iterator[Promise]:
    """Yield promises on rates, for arms of up to 100 learners whose sizes five divides."""
    for sizes in arms:
        what = f"rates .02 to .98, {sizes[0]} against {sizes[1]} at the last of five looks"
        yield Promise(Subject.LOOKS, what, partial(_of_rates, sizes), high=0.05)


def count_look_promises(arms: Sequence[Sizes], *, runs: int) -> Iterator[Promise]:
    """Yield promises on each distribution of counts."""
    for name, draw in DRAWS.items():
        for sizes in arms:
            what = f"{name}, {sizes[0]} against {sizes[1]} at the last of five looks"
            yield Promise(Subject.LOOKS, what, partial(_of_counts, draw, sizes, runs), high=0.055)


def _of_normal() -> Measured:
    return Measured(crossing_chance(LOOKS, boundary(LOOKS)))


def _of_rates(sizes: Sizes) -> Measured:
    """Return the greatest chance over the rates that any look finds a difference."""
    return Measured(max(_found(sizes, rate) for rate in np.arange(0.02, 0.99, 0.04).tolist()))


def _found(sizes: Sizes, rate: float) -> float:
    """Carry the chances of all tables in which nothing is found from look to look."""
    n0, n1 = sizes[0] // len(LOOKS), sizes[1] // len(LOOKS)
    new0, new1 = (scipy.stats.binom.pmf(np.arange(n + 1), n, rate) for n in (n0, n1))
    chances, found = np.ones((1, 1)), 0.0
    for number, level in enumerate(nominal_levels(LOOKS), start=1):
        chances = np.apply_along_axis(np.convolve, 0, chances, new0)
        chances = np.apply_along_axis(np.convolve, 1, chances, new1)
        rises = rising_tables(number * n0, number * n1, level)
        falls = rising_tables(number * n1, number * n0, level).T
        is_found = rises + falls > 0
        found += float(chances[is_found].sum())
        chances[is_found] = 0.0
    return found


def _of_counts(draw: Draw, sizes: Sizes, runs: int) -> Measured:
    rng, found = np.random.default_rng(SEED), 0
    for start in range(0, runs, _BATCH):
        number = min(_BATCH, runs - start)
        one, other = (draw(rng, (number, size)) for size in sizes)
        is_found = np.zeros(number, dtype=bool)
        for fraction, level in zip(LOOKS, nominal_levels(LOOKS), strict=True):
            seen, also = (
                one[:, : round(sizes[0] * fraction)],
                other[:, : round(sizes[1] * fraction)],
            )
            # A report's p-value is never below Welch's, so only these samples can look different.
            for place in np.flatnonzero(~is_found & (welch_p_values(seen, also) < 1 - level)):
                arms = Moments.from_array(seen[place]), Moments.from_array(also[place])
                is_found[place] = mean_difference(*arms, level=level).is_significant
        found += int(is_found.sum())
    return share(found, runs)
