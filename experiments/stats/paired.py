"""The change of an outcome within the same learners, from before an instant to after it."""

from dataclasses import dataclass, replace
from math import isinf

import numpy as np
import scipy

from experiments.stats.estimate import UNKNOWN, Estimate, t_estimate, unknown
from experiments.stats.limits import turning_point
from experiments.stats.means import is_skewed
from experiments.stats.permutation import DRAWS, sign_flip_shift
from experiments.stats.sufficient import Moments

_TOLERANCE = 1e-13
# By enumeration, the score test of 4 equal pairs that all change rejects in 12.5 % of samples. That
# of 10 to 150 pairs rejects in at most 5.6 % if up to nine in ten change, and in up to 7.8 % (21
# pairs) if all do.
FEWEST_PAIRS = 10
TOO_FEW_PAIRS = f"fewer than {FEWEST_PAIRS} learners are counted"
_NO_SPREAD = "the change is the same for all learners, so it is not known how much it varies"
_BOTH = "sign flips and paired t"


@dataclass(frozen=True)
class PairedCounts:
    """Learners by whether they had the outcome before and after.

    `gained` had it only after, `lost` only before.
    """

    both: int
    gained: int
    lost: int
    neither: int

    @property
    def n(self) -> int:
        """Return the number of learners."""
        return self.both + self.gained + self.lost + self.neither


def paired_score(pairs: PairedCounts, change: float) -> float:
    """Return z of the hypothesis that the rate after minus the rate before is `change`.

    z = (gained - lost - n d) / sqrt(n (2 q + d (1 - d))), q the maximum-likelihood probability of
    `lost` among those with the difference d. Tango (1998), Statistics in Medicine 17:891, equations
    24 and 25. At d = 0 it is McNemar's (1947) z, (gained - lost) / sqrt(gained + lost).
    """
    n, gained, lost, d = pairs.n, pairs.gained, pairs.lost, change
    a = (2 * n - gained + lost) * d - (gained + lost)
    root = np.sqrt(max(a * a + 8 * n * lost * d * (1 - d), 0.0))
    likeliest = min(max((root - a) / (4 * n), 0.0, -d), (1 - d) / 2)
    variance = n * (2 * likeliest + d * (1 - d))
    apart = gained - lost - n * d
    if variance <= 0:
        return float(np.copysign(np.inf, apart)) if apart else 0.0
    return float(apart / np.sqrt(variance))


def rate_change(pairs: PairedCounts, *, level: float = 0.95) -> Estimate:
    """Return the rate after minus the rate before (-1..1) with Tango's score interval.

    The test is McNemar's without continuity correction, which is the same score test at 0, so test
    and interval agree. There is no interval, with a reason, below 10 learners.
    """
    value = (pairs.gained - pairs.lost) / pairs.n if pairs.n else UNKNOWN
    if pairs.n < FEWEST_PAIRS:
        return unknown(value, level=level, reason=TOO_FEW_PAIRS)
    z = float(scipy.special.ndtri((1 + level) / 2))
    found = paired_score(pairs, 0.0)
    return Estimate(
        value,
        turning_point(
            lambda d: paired_score(pairs, d) - z,
            end=-1.0, value=value, null=0.0, tolerance=_TOLERANCE,
        ),
        turning_point(
            lambda d: -paired_score(pairs, d) - z,
            end=1.0, value=value, null=0.0, tolerance=_TOLERANCE,
        ),
        float(2 * scipy.special.ndtr(-abs(found))),
        level,
        "Tango",
        "McNemar",
        statistic=found,
    )  # fmt: skip


def mean_change(changes: Moments, *, level: float = 0.95, draws: int = DRAWS) -> Estimate:
    """Return the mean of the changes of single learners, in the outcome's unit, with its interval.

    It is the paired t interval. If the changes are few, sparse or skewed, the interval also
    includes that of the sign-flip test, and the p-value is the larger one. There is no interval,
    with a reason, below 10 learners and if no change differs from another. Student (1908),
    Biometrika 6:1.
    """
    if changes.n < FEWEST_PAIRS:
        return unknown(changes.average, level=level, reason=TOO_FEW_PAIRS)
    if not changes.variance > 0:
        return unknown(changes.average, level=level, reason=_NO_SPREAD)
    error = float(np.sqrt(changes.variance / changes.n))
    found = t_estimate(changes.average, error, changes.n - 1, level=level, method="paired t")
    if not changes.frequencies or not (changes.is_thin or is_skewed(changes)):
        return found
    shift = sign_flip_shift(changes.frequencies, level=level, draws=draws)
    if isinf(shift.low) or isinf(shift.high):
        return unknown(changes.average, level=level, reason=TOO_FEW_PAIRS)
    return replace(
        found, low=min(found.low, shift.low), high=max(found.high, shift.high),
        p_value=max(found.p_value, shift.p_value), method=_BOTH, test=_BOTH,
    )  # fmt: skip
