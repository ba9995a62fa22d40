"""Caps of counts: outcomes above a percentile of all arms together are lowered to it.

One learner with thousands of attempts would decide a comparison of means. A cap from the pooled
outcomes is the same for all arms, so it cannot favor one of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from experiments.stats.estimate import UNKNOWN
from experiments.stats.quantiles import quantile
from experiments.stats.sufficient import Frequencies

_NOBODY = "no learner is counted yet"
_NO_TOTAL = "the outcomes are not counts with a sum above 0, so no share of it can be cut"


@dataclass(frozen=True)
class Capped:
    """The outcomes of an arm with a cap, and what it cuts.

    `learners_share` (0..1) is the share of learners above the cap, and `total_share` (0..1) the
    share of the sum of all outcomes that is cut. They are nan with a `reason` where not known.
    """

    frequencies: Frequencies
    learners_share: float
    total_share: float
    reason: str = ""


def pooled_cap(arms: Sequence[Frequencies], *, percentile: float) -> float:
    """Return the percentile (0 to 100, both excluded) of all arms' outcomes, nan without outcomes.

    It is the smallest outcome that this percentage of the learners do not exceed, so at most the
    rest of the learners are cut. Raise ValueError for a percentile outside its range.
    """
    pooled: Counter[float] = Counter()
    for arm in arms:
        pooled.update(dict(arm))
    share = Fraction(str(percentile)) / 100
    return quantile(tuple(sorted(pooled.items())), share=share)


def capped(frequencies: Frequencies, cap: float) -> Capped:
    """Return the arm's outcomes, those above the cap lowered to it, and the shares that are cut.

    Raise ValueError for a cap that is not a finite number, unless the arm is empty.
    """
    if not frequencies:
        return Capped((), UNKNOWN, UNKNOWN, _NOBODY)
    if not isfinite(cap):
        raise ValueError("The cap must be a finite number.")
    kept: Counter[float] = Counter()
    for value, times in frequencies:
        kept[min(value, cap)] += times
    above = [(value, times) for value, times in frequencies if value > cap]
    cut = sum(((Fraction(value) - Fraction(cap)) * times for value, times in above), Fraction(0))
    total = sum((Fraction(value) * times for value, times in frequencies), Fraction(0))
    are_counts = total > 0 and min(frequencies[0][0], cap) >= 0
    return Capped(
        tuple(sorted(kept.items())),
        sum(times for _, times in above) / kept.total(),
        float(cut / total) if are_counts else UNKNOWN,
        "" if are_counts else _NO_TOTAL,
    )
