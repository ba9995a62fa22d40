"""What the pages before and after know of each kind of outcome, in one row per kind. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import scipy

from experiments.metrics.definitions import Metric
from experiments.stats.comparison import MEANS, RATES
from experiments.stats.estimate import Estimate, t_quantile
from experiments.stats.paired import PairedCounts, mean_change, rate_change
from experiments.stats.sufficient import Counts, Moments

LEVEL = 0.95


@dataclass(frozen=True)
class Kind:
    """How a kind of outcome is read before and after an instant.

    `change` takes the numbers of each learner before and after. `sums` takes how many learners have
    each number. `limits` takes the number of learners, their level and their standard deviation.
    `verb` joins a time and a level in a sentence.
    """

    change: Callable[[Sequence[tuple[int, int]]], Estimate]
    sums: Callable[[Counter[int]], Counts | Moments]
    limits: Callable[[int, float, float], tuple[float, float]]
    verb: str


def kind_of(metric: Metric) -> Kind:
    """Return what is known of the metric's kind. Raise KeyError for a kind without such pages."""
    return _KINDS[metric.family.name]


def moments_of_changes(pairs: Sequence[tuple[int, int]]) -> Moments:
    """Return the moments of the learners' changes."""
    return Moments.from_frequencies(Counter(later - earlier for earlier, later in pairs).items())


def _rate_change(pairs: Sequence[tuple[int, int]]) -> Estimate:
    counted = Counter(pairs)
    table = [counted[pair] for pair in ((1, 1), (0, 1), (1, 0), (0, 0))]
    return rate_change(PairedCounts(*table), level=LEVEL)


def _mean_change(pairs: Sequence[tuple[int, int]]) -> Estimate:
    return mean_change(moments_of_changes(pairs), level=LEVEL)


def _counts(numbers: Counter[int]) -> Counts:
    return Counts(numbers[1], numbers.total())


def _moments(numbers: Counter[int]) -> Moments:
    return Moments.from_frequencies(numbers.items())


def _wilson(n: int, level: float, spread: float) -> tuple[float, float]:
    """Return Wilson's interval of a rate."""
    found = scipy.stats.binomtest(round(level * n), n).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)


def _by_t(n: int, level: float, spread: float) -> tuple[float, float]:
    """Return the interval of a mean by Student's t, at least 0."""
    half = t_quantile(n - 1, LEVEL) * spread / sqrt(n)
    return max(level - half, 0.0), level + half


# The words of a rate have their verb among them: "40.0% of learners attempted a quiz".
_KINDS = {
    RATES.name: Kind(_rate_change, _counts, _wilson, verb=","),
    MEANS.name: Kind(_mean_change, _moments, _by_t, verb=" there were"),
}
