"""The outcomes of each section of an arm as moments per learner, by kind of outcome."""

from collections.abc import Sequence
from functools import reduce
from itertools import chain
from math import isfinite
from operator import add

from experiments.stats.joint import JointMoments
from experiments.stats.ratios import ratio
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.survival import Times, restricted_mean_values


def moments_of_rates(sections: Sequence[Counts]) -> list[Moments]:
    """Return the moments of zeros and ones."""
    return [
        Moments.from_frequencies([(0, each.n - each.successes), (1, each.successes)])
        for each in sections
    ]


def moments_of_ratios(sections: Sequence[JointMoments]) -> list[Moments]:
    """Return the moments of the arm's ratio plus each learner's residual, as in `linearized`."""
    whole = reduce(add, sections)
    r, bottom = ratio(whole), whole.means[1]
    found = [each.combined(1 / bottom, -r / bottom) for each in sections] if bottom > 0 else []
    return [Moments(each.n, r + each.mean, each.deviations) for each in found]


def moments_of_times(sections: Sequence[Times], *, horizon: float) -> list[Moments]:
    """Return the moments of each learner's part in the arm's restricted mean time.

    See `restricted_mean_values`. None if that mean is not known.
    """
    whole = reduce(add, sections)
    values = restricted_mean_values(whole, horizon=horizon)
    if not all(map(isfinite, chain.from_iterable(values))):
        return []
    of_time = {row[0]: pair for row, pair in zip(whole.counted, values, strict=True)}
    return [
        sum(
            (
                Moments.from_frequencies([(value, number)])
                for time, *numbers in each.counted
                for value, number in zip(of_time[time], numbers, strict=True)
            ),
            start=Moments(0, 0.0, 0.0),
        )
        for each in sections
    ]
