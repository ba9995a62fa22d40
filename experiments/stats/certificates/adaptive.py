"""False positives, coverage and arm sizes of adaptive draws, and what the pooled analysis does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from experiments.stats.adaptive.forecast import SimulatedDraw, simulated_draw
from experiments.stats.adaptive.rates import Pair, period_statistic
from experiments.stats.balance import sample_ratio_of_periods
from experiments.stats.certificates.promise import SEED, Measured, Promise, Subject, share
from experiments.stats.score import score_p_value
from experiments.stats.sufficient import Counts

_FLOOR = 0.1
# How much everybody's rate rises over the whole draw, as in the weeks before an exam.
_RISE = 0.5
_NORMAL = 1.959964
_SURPRISE = 0.01


@dataclass(frozen=True)
class Case:
    """A draw: the rates of the control and the other arms, the burn-in, and the later batches.

    The outcomes of a batch are known when the next one begins. With `rises`, all rates rise by 0.5
    over the draw.
    """

    rates: tuple[float, ...]
    burn_in: int
    batch: int
    batches: int
    rises: bool = False

    @property
    def name(self) -> str:
        learners = self.burn_in + self.batch * self.batches
        rates = " and ".join(f"{rate:g}" for rate in self.rates)
        rising = f", rising by {_RISE:g}" if self.rises else ""
        return f"{learners} learners, rates {rates}{rising}"


def adaptive_promises(cases: Sequence[Case], *, runs: int) -> Iterator[Promise]:
    """Yield the coverage in each case; without an effect it is one minus the false positives."""
    for case in cases:
        what = f"{case.name}: coverage by period"
        yield Promise(Subject.ADAPTIVE, what, partial(_coverage, case, runs), low=0.93)


def balance_promises(cases: Sequence[Case], *, runs: int) -> Iterator[Promise]:
    """Yield how often arm sizes are a surprise, which is once in a hundred by chance."""
    for case in cases:
        what = f"{case.name}: arm sizes that are a surprise"
        yield Promise(Subject.ADAPTIVE, what, partial(_surprises, case, runs), high=0.015)


def pooled_promises(cases: Sequence[Case], *, runs: int) -> Iterator[Promise]:
    """Yield the false positives of the pooled analysis, which is not used for this reason."""
    for case in cases:
        what = f"{case.name}: false positives if the periods were pooled (not done)"
        yield Promise(Subject.ADAPTIVE, what, partial(_pooled, case, runs), low=0.06)


@cache
def _simulated(case: Case, runs: int) -> list[SimulatedDraw]:
    rng, arms = np.random.default_rng(SEED), len(case.rates)
    sizes = [case.burn_in, *[case.batch] * case.batches]
    risen = [_RISE * period / case.batches if case.rises else 0.0 for period in range(len(sizes))]
    rates = [[min(rate + by, 1.0) for rate in case.rates] for by in risen]
    equal = [1 / arms] * arms
    return [simulated_draw(rng, rates, equal, floor=_FLOOR, sizes=sizes) for _ in range(runs)]


def _coverage(case: Case, runs: int) -> Measured:
    effect, held = case.rates[1] - case.rates[0], 0
    for run in _simulated(case, runs):
        pairs = [Pair(table[0], table[1]) for table in run.tables]
        # The interval holds the differences that the test does not reject.
        held += abs(period_statistic(pairs, difference=effect)) <= _NORMAL
    return share(held, runs)


def _surprises(case: Case, runs: int) -> Measured:
    found = 0
    for run in _simulated(case, runs):
        sizes = [[each.n for each in table] for table in run.tables]
        found += sample_ratio_of_periods(sizes, run.shares).p_value < _SURPRISE
    return share(found, runs)


def _pooled(case: Case, runs: int) -> Measured:
    found = 0
    for run in _simulated(case, runs):
        control, arm = (
            sum((table[place] for table in run.tables), Counts(0, 0)) for place in (0, 1)
        )
        found += score_p_value(control, arm) < 0.05
    return share(found, runs)
