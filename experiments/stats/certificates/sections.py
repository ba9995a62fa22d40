"""False positives of experiments on whole sections."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.stats.certificates.promise import SEED, Measured, Promise, Subject, share
from experiments.stats.sections import Section, section_difference
from experiments.stats.sufficient import Moments

_ICC = 0.15
_RATE = 0.3
_SIZE = 25
# The coefficient of variation of uneven sizes.
_VARIATION = 0.6

Integers = NDArray[np.int64]
# Draws the outcomes of sections of these sizes, without an effect.
Draw = Callable[[np.random.Generator, Integers], list[Moments]]


@dataclass(frozen=True)
class _Case:
    sections: int
    treated: int
    is_uneven: bool
    draw: Draw


def section_promises(runs: int) -> Iterator[Promise]:
    """Yield promises on 6 to 40 sections, with even and uneven sizes, scores and rates."""
    for sections in (6, 10, 20, 40):
        for draw, outcome in ((_scores, "scores"), (_rates, "a rate of .3")):
            for is_uneven in (False, True):
                sizes = "uneven sizes" if is_uneven else "even sizes"
                case = _Case(sections, sections // 2, is_uneven, draw)
                yield Promise(
                    Subject.SECTIONS, f"{sections} sections, {sizes}, {outcome}",
                    partial(_false_positives, case, runs), low=0.03, high=0.065,
                )  # fmt: skip


def _false_positives(case: _Case, runs: int) -> Measured:
    rng, found = np.random.default_rng(SEED), 0
    treated = np.arange(case.sections) < case.treated
    for _ in range(runs):
        outcomes = case.draw(rng, _sizes(rng, case))
        drawn = map(Section, outcomes, treated.tolist())
        found += section_difference(drawn).difference.is_significant
    return share(found, runs)


def _sizes(rng: np.random.Generator, case: _Case) -> Integers:
    if not case.is_uneven:
        return np.full(case.sections, _SIZE)
    shape = 1 / _VARIATION**2
    return np.maximum(rng.gamma(shape, _SIZE / shape, case.sections).round(), 2).astype(np.int64)


def _scores(rng: np.random.Generator, sizes: Integers) -> list[Moments]:
    """Draw the means of sections; their learners' spread has no part in the difference."""
    means = rng.normal(0, np.sqrt(_ICC + (1 - _ICC) / sizes))
    inside = (1 - _ICC) * (sizes - 1)
    return list(map(Moments, sizes.tolist(), means.tolist(), inside.tolist()))


def _rates(rng: np.random.Generator, sizes: Integers) -> list[Moments]:
    """Draw beta-binomial outcomes of 0 and 1 with the same correlation."""
    strength = (1 - _ICC) / _ICC
    seen = rng.binomial(sizes, rng.beta(_RATE * strength, (1 - _RATE) * strength, sizes.size))
    return [
        Moments(n, each / n, each * (n - each) / n)
        for n, each in zip(sizes.tolist(), seen.tolist(), strict=True)
    ]
