"""What adapting is expected to cost: simulated draws with a fixed seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.design import Adapting
from experiments.randomize.thompson import adapted_shares
from experiments.stats.adaptive.rates import Pair, equal_precision, period_difference
from experiments.stats.sufficient import Counts

_SEED = 20_261_130
_RUNS = 60
# Longer batches stand for more changes than these, which would take seconds.
_MOST_CHANGES = 12


@dataclass(frozen=True)
class Forecast:
    """The expected precision of an arm's difference, relative to as many learners in equal shares.

    `share` is the expected share of all learners that the arm gets if it is better by `lift`.
    """

    precision: float
    share: float
    lift: float


@dataclass(frozen=True)
class SimulatedDraw:
    """The tables of one simulated draw by period, and the shares, in the order of the arms."""

    tables: list[list[Counts]]
    shares: list[list[float]]


def adapting_forecast(
    rates: Sequence[float], *, weights: Sequence[float], adapting: Adapting, learners: int
) -> Forecast:
    """Return the forecast for the second arm, with these rates of the arms, the control first.

    The outcomes of a batch count as known when the next one begins, so it is the most that the
    draw can adapt.
    """
    rng = np.random.default_rng(_SEED)
    sizes = _sizes(adapting, learners)
    equal = equal_precision(sum(sizes), len(rates))
    runs = [
        simulated_draw(rng, [rates] * len(sizes), weights, floor=adapting.floor, sizes=sizes).tables
        for _ in range(_RUNS)
    ]
    precise = [
        period_difference([Pair(table[0], table[1]) for table in run]).precision for run in runs
    ]
    drawn = [sum(table[1].n for table in run) / sum(sizes) for run in runs]
    return Forecast(float(np.mean(precise)) / equal, float(np.mean(drawn)), rates[1] - rates[0])


def _sizes(adapting: Adapting, learners: int) -> list[int]:
    first = min(adapting.burn_in, learners)
    batch = max(adapting.batch, -(-(learners - first) // _MOST_CHANGES))
    whole, rest = divmod(learners - first, batch)
    return [first, *[batch] * whole, *([rest] if rest else [])]


def simulated_draw(
    rng: np.random.Generator,
    rates: Sequence[Sequence[float]],
    weights: Sequence[float],
    *,
    floor: float,
    sizes: Sequence[int],
) -> SimulatedDraw:
    """Return a draw with the rates of the arms by period. The weights draw the first period."""
    known, found = [Counts(0, 0)] * len(weights), SimulatedDraw([], [])
    for period, size in enumerate(sizes):
        shares = list(weights)
        if period:
            counts = {str(arm): (each.successes, each.n) for arm, each in enumerate(known)}
            shares = list(adapted_shares(counts, floor=floor).values())
        drawn = rng.multinomial(size, np.array(shares) / sum(shares))
        seen = rng.binomial(drawn, rates[period]).tolist()
        table = list(map(Counts, seen, drawn.tolist()))
        known = [before + now for before, now in zip(known, table, strict=True)]
        found.tables.append(table)
        found.shares.append(shares)
    return found
