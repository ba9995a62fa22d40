"""Randomization inference: how often the draw alone gives a difference as large. No model."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

from experiments.stats.estimate import UNKNOWN
from experiments.stats.sections import Section

Floats = NDArray[np.float64]
# One row per draw and one column per section, true where it is treated.
Draws = NDArray[np.bool_]

# Up to this number all draws are counted, and above it a sample of them.
MOST_EXACT = 20_000
DRAWS = 9_999
# Equally large differences can differ by rounding.
_TIE = 1e-9


@dataclass(frozen=True)
class Randomization:
    """The p-value of no effect on any learner, and over how many draws it was counted.

    If all draws were counted, the p-value is at least 1 / `draws`, and 2 / `draws` for arms of
    equally many sections: with 3 against 3 no outcome can be significant at the 5 % level.
    """

    p_value: float
    draws: int
    is_exact: bool
    reason: str = ""
    # The smallest p-value that any of these draws would have given with these outcomes.
    least: float = UNKNOWN


def randomization_test(drawn: Sequence[Section], *, seed: int) -> Randomization:
    """Return the two-sided test of no effect on any learner, over the draws of these sections.

    Each draw takes as many sections of each stratum for the treatment as the real one took. The
    p-value is the share of draws whose difference of means per learner is at least as large. All
    draws are counted if there are at most 20,000; else 9,999 seeded ones and the real one. The test
    is exact for sections of any size and number. Fisher (1935), The Design of Experiments; Gerber
    and Green (2012), Field Experiments, section 3.4.
    """
    sections = [each for each in drawn if each.outcomes.n]
    treated = np.array([each.is_treated for each in sections], dtype=bool)
    if not treated.any() or treated.all():
        return Randomization(UNKNOWN, 0, False, "no section of an arm is counted yet")  # noqa: FBT003
    strata = _strata(sections)
    number = prod(comb(stratum.size, int(treated[stratum].sum())) for stratum in strata)
    is_exact = number <= MOST_EXACT
    draws = _all_draws(treated, strata) if is_exact else _some_draws(treated, strata, seed)
    sizes = np.array([each.outcomes.n for each in sections], dtype=np.float64)
    means = np.array([each.outcomes.mean for each in sections])
    tie = _TIE * float(np.abs(means).max())
    seen, drawn_ones = (_distances(each, sizes, means) for each in (treated[None, :], draws))
    as_large = int((drawn_ones >= seen[0] - tie).sum())
    if is_exact:
        largest = int((drawn_ones >= drawn_ones.max() - tie).sum())
        return Randomization(as_large / number, number, is_exact, least=largest / number)
    return Randomization((1 + as_large) / (DRAWS + 1), DRAWS, is_exact, least=1 / (DRAWS + 1))


def _strata(sections: Sequence[Section]) -> list[NDArray[np.int64]]:
    """Return the positions of the sections of each stratum."""
    positions: dict[object, list[int]] = {}
    for position, each in enumerate(sections):
        positions.setdefault(each.stratum, []).append(position)
    return [np.array(each) for each in positions.values()]


def _all_draws(treated: Draws, strata: Sequence[NDArray[np.int64]]) -> Draws:
    choices = [combinations(stratum, int(treated[stratum].sum())) for stratum in strata]
    chosen = [list(chain.from_iterable(parts)) for parts in product(*choices)]
    draws = np.zeros((len(chosen), treated.size), dtype=bool)
    np.put_along_axis(draws, np.array(chosen), values=True, axis=1)
    return draws


def _some_draws(treated: Draws, strata: Sequence[NDArray[np.int64]], seed: int) -> Draws:
    rng = np.random.default_rng(seed)
    draws = np.tile(treated, (DRAWS, 1))
    for stratum in strata:
        draws[:, stratum] = rng.permuted(draws[:, stratum], axis=1)
    return draws


def _distances(draws: Draws, sizes: Floats, means: Floats) -> Floats:
    """Return for each draw the size of the difference of the arms' means per learner."""
    totals, treated = sizes * means, draws.astype(np.float64)
    learners = treated @ sizes
    apart: Floats = treated @ totals / learners
    apart = apart - (1 - treated) @ totals / (sizes.sum() - learners)
    return np.abs(apart)
