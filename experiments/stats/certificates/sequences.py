"""False positives of confidence sequences that are looked at after every learner."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.stats.certificates.counts import DRAWS, Draw
from experiments.stats.certificates.promise import SEED, Measured, Promise, Subject, share
from experiments.stats.estimate import Estimate
from experiments.stats.sequences import FEWEST, mean_sequence, rate_sequence, sequence_multiplier
from experiments.stats.sufficient import Counts, Moments

Floats = NDArray[np.float64]

_RATES = (0.1, 0.3, 0.5, 0.9)
# Looking goes on after the learners of the plan.
_BEYOND = 1.5
_BATCH = 500


@dataclass(frozen=True)
class Course:
    """An experiment without an effect: the share of the treatment, and the learners in the plan."""

    treated: float
    planned: int

    @property
    def learners(self) -> int:
        """Return the number of learners at the end of the looking."""
        return int(_BEYOND * self.planned)


@dataclass(frozen=True, eq=False)
class _Runs:
    """Sums of each arm after each learner (columns) of each run (rows)."""

    n: tuple[Floats, Floats]
    totals: tuple[Floats, Floats]
    squares: tuple[Floats, Floats]

    @classmethod
    def of(cls, outcomes: Floats, is_treated: NDArray[np.bool_]) -> "_Runs":
        arms = (~is_treated, is_treated)
        return cls(
            (arms[0].cumsum(axis=1), arms[1].cumsum(axis=1)),
            ((outcomes * arms[0]).cumsum(axis=1), (outcomes * arms[1]).cumsum(axis=1)),
            ((outcomes**2 * arms[0]).cumsum(axis=1), (outcomes**2 * arms[1]).cumsum(axis=1)),
        )

    @property
    def apart(self) -> Floats:
        """Return the size of the difference of means, where both arms have learners."""
        means = [total / np.maximum(n, 1) for total, n in zip(self.totals, self.n, strict=True)]
        return np.abs(means[1] - means[0])


def sequence_promises(courses: Sequence[Course], *, runs: int) -> Iterator[Promise]:
    """Yield promises on rates and counts for each course."""
    for course in courses:
        odds = round(course.treated / (1 - course.treated))
        where = f"1 against {odds}, tuned to {course.planned:,}"
        for rate in _RATES:
            measure = partial(_rates_excluded, rate, course, runs)
            yield Promise(Subject.SEQUENCE, f"a rate of {rate:g}, {where}", measure, high=0.05)
        for name, draw in DRAWS.items():
            measure = partial(_means_excluded, draw, course, runs)
            yield Promise(Subject.SEQUENCE, f"{name}, {where}", measure, high=0.05)


def _rates_excluded(rate: float, course: Course, runs: int) -> Measured:
    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        return (rng.random(shape) < rate).astype(np.float64)

    found = 0
    for outcomes, is_treated in _batches(draw, course, runs):
        sums = _Runs.of(outcomes, is_treated)
        for run, at in enumerate(_nearest(sums, _rate_errors(sums), course)):
            seen, treated = outcomes[run, :at], is_treated[run, :at]
            arms = Counts.from_array(seen[~treated]), Counts.from_array(seen[treated])
            found += _excludes(rate_sequence(*arms, tuned_to=course.planned))
    return share(found, runs)


def _means_excluded(draw: Draw, course: Course, runs: int) -> Measured:
    found = 0
    for outcomes, is_treated in _batches(draw, course, runs):
        sums = _Runs.of(outcomes, is_treated)
        for run, at in enumerate(_nearest(sums, _mean_errors(sums), course)):
            seen, treated = outcomes[run, :at], is_treated[run, :at]
            arms = Moments.from_array(seen[~treated]), Moments.from_array(seen[treated])
            found += _excludes(mean_sequence(*arms, tuned_to=course.planned))
    return share(found, runs)


def _batches(draw: Draw, course: Course, runs: int) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    rng = np.random.default_rng(SEED)
    for start in range(0, runs, _BATCH):
        shape = (min(_BATCH, runs - start), course.learners)
        yield draw(rng, shape), rng.random(shape) < course.treated


def _nearest(sums: _Runs, errors: Floats, course: Course) -> list[int]:
    """Return for each run the number of learners at which the sequence is nearest to excluding 0.

    Only there the sequence itself is computed: if it does not exclude 0 there, it never does.
    """
    learners = np.arange(1, course.learners + 1)
    multipliers = np.array([sequence_multiplier(n / course.planned) for n in learners.tolist()])
    is_open = (np.minimum(*sums.n) >= FEWEST) & (errors > 0)
    reach = np.divide(sums.apart, errors * multipliers, out=np.zeros_like(errors), where=is_open)
    nearest: list[int] = (reach.argmax(axis=1) + 1).tolist()
    return nearest


def _rate_errors(sums: _Runs) -> Floats:
    n0, n1 = (n + 2 for n in sums.n)
    rate0, rate1 = (sums.totals[0] + 1) / n0, (sums.totals[1] + 1) / n1
    variance0, variance1 = rate0 * (1 - rate0), rate1 * (1 - rate1)
    found: Floats = np.maximum(variance0 / n0 + variance1 / n1, variance0 / n1 + variance1 / n0)
    return np.sqrt(found)


def _mean_errors(sums: _Runs) -> Floats:
    """Return the error of each mean difference, 0 where the outcomes of an arm are all 0."""
    n0, n1 = (np.maximum(n, 2) for n in sums.n)
    inside0, inside1 = (
        square - total**2 / np.maximum(n, 1)
        for square, total, n in zip(sums.squares, sums.totals, sums.n, strict=True)
    )
    welch = inside0 / (n0 - 1) / n0 + inside1 / (n1 - 1) / n1
    equal = (inside0 + inside1) / np.maximum(n0 + n1 - 2, 1) * (1 / n0 + 1 / n1)
    is_known = (sums.totals[0] > 0) & (sums.totals[1] > 0)
    found: Floats = np.sqrt(np.maximum(welch, equal)) * is_known
    return found


def _excludes(found: Estimate) -> bool:
    return found.excludes_zero
