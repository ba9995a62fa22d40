"""The outcomes of each section of an arm as moments per learner, by kind of outcome."""

from collections.abc import Sequence
from functools import reduce
from operator import add

from experiments.stats.joint import JointMoments
from experiments.stats.ratios import ratio
from experiments.stats.sufficient import Counts, Moments


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
