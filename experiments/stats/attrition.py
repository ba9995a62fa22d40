"""Missing outcomes: whether they differ by arm, and what they leave known of an effect."""

from dataclasses import dataclass, replace
from math import ceil, floor, sqrt

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from experiments.stats.balance import ALARM
from experiments.stats.estimate import UNKNOWN
from experiments.stats.joint import LARGEST
from experiments.stats.rates import rate_test
from experiments.stats.sufficient import Counts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """The known outcomes of an arm's learners, and the number of learners drawn into it."""

    outcomes: Floats
    drawn: int

    @classmethod
    def of(cls, outcomes: ArrayLike) -> "Arm":
        """Return the arm of one outcome per learner, nan where it is missing.

        Raise ValueError for numbers beyond 1e100, whose squares would overflow.
        """
        values = np.asarray(outcomes, dtype=np.float64)
        if (np.abs(values) > LARGEST).any():
            raise ValueError("An outcome must be a number of at most 1e100, or nan.")
        return cls(values[~np.isnan(values)], values.size)


@dataclass(frozen=True)
class Bounds:
    """The bounds of an effect, and the interval of the effect that lies between them.

    `trimmed_share` is the share of outcomes that were left out of one arm, `in_treatment` if that
    is the treatment. A number that cannot be computed is nan, with a `reason`.
    """

    lower: float
    upper: float
    low: float
    high: float
    level: float
    trimmed_share: float = UNKNOWN
    in_treatment: bool = True
    reason: str = ""


def missing_p_value(control: Counts, arm: Counts) -> float:
    """Return the two-sided p-value of equal shares of missing outcomes; nan for an empty arm.

    The counts are the missing outcomes of all drawn learners. It is the test of rates, exact where
    a share is near 0 or 1.
    """
    return rate_test(control, arm)[1] if control.n and arm.n else UNKNOWN


# The words for outcomes that are missing in the rows of a file.
MISSING_ROWS = (
    "outcomes are missing in {} of {} rows of {} and in {} of {} of {}, so a difference may come "
    "from the missing rows alone"
)


def withholding_reason(
    control: Counts, arm: Counts, *, names: tuple[str, str], words: str = MISSING_ROWS
) -> str:
    """Return why the arms must not be compared; empty if nothing speaks against it.

    The counts are the missing outcomes of all drawn learners, and the names those of the control
    and the arm. `words` has places for the number, the whole and the name of the arm, then of the
    control. As for a sample ratio, the alarm is a p-value below .001: if outcomes are missing by
    arm, the rest of the arms is no longer a fair draw.
    """
    # A comparison with nan is False: an empty arm has its own reason elsewhere.
    if not missing_p_value(control, arm) < ALARM:
        return ""
    sides = ((arm, names[1]), (control, names[0]))
    shown = [text for each, name in sides for text in (f"{each.successes:,}", f"{each.n:,}", name)]
    return words.format(*shown)


def lee_bounds(control: Arm, treatment: Arm, *, level: float = 0.95) -> Bounds:
    """Return bounds of the mean effect on learners whose outcome is known in either arm.

    If the arm with more known outcomes had lost as many as the other, it would have lost either its
    highest or its lowest ones: both are tried. A part of an outcome is trimmed where the number is
    not whole. The bounds assume that the treatment makes outcomes missing for nobody, or known for
    nobody; the test for missing outcomes cannot show that. The interval covers the effect, not both
    bounds, in large samples. Lee (2009), Review of Economic Studies 76:1071, proposition 3 for the
    variance; Imbens and Manski (2004), Econometrica 72:1845, for the interval.
    """
    reason = _reason(control, treatment)
    if reason:
        return Bounds(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, level, reason=reason)
    ways = []
    if _share(control) <= _share(treatment):
        ways.append(_bounds(control, treatment, level))
    if _share(treatment) <= _share(control):
        ways.append(_mirrored(_bounds(treatment, control, level)))
    # With equal shares either arm may be the one that lost more by chance. The interval is that of
    # both, so that it does not depend on the order of the arms.
    low, high = min(way.low for way in ways), max(way.high for way in ways)
    return replace(ways[0], low=low, high=high)


def _mirrored(found: Bounds) -> Bounds:
    return Bounds(
        -found.upper, -found.lower, -found.high, -found.low, found.level, found.trimmed_share,
        in_treatment=False, reason=found.reason,
    )  # fmt: skip


def _bounds(fewer: Arm, more: Arm, level: float) -> Bounds:
    """Return the bounds of the mean of `more` minus that of `fewer`, with `more` trimmed."""
    # One division: rounding must not turn two outcomes into a little less.
    kept = min(more.drawn * fewer.outcomes.size / fewer.drawn, float(more.outcomes.size))
    trimmed = 1 - kept / more.outcomes.size
    if kept < 2:
        reason = "fewer than two outcomes of an arm are left after trimming"
        return Bounds(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, level, trimmed, reason=reason)
    chance = sum((1 - _share(arm)) / arm.outcomes.size for arm in (fewer, more))
    ascending = np.sort(more.outcomes)
    lower, lower_variance = _kept_mean(ascending, kept, chance)
    upper, upper_variance = _kept_mean(-ascending[::-1], kept, chance)
    mean = float(fewer.outcomes.mean())
    own = float(fewer.outcomes.var(ddof=1)) / fewer.outcomes.size
    errors = sqrt(lower_variance + own), sqrt(upper_variance + own)
    low, high = lower - mean, -upper - mean
    if not max(errors):
        reason = "no outcome varies within either arm, so chance cannot be told from an effect"
        return Bounds(low, high, UNKNOWN, UNKNOWN, level, trimmed, reason=reason)
    z = _critical(max(high - low, 0.0) / max(errors), level)
    return Bounds(low, high, low - z * errors[0], high + z * errors[1], level, trimmed)


def _kept_mean(ascending: Floats, kept: float, chance: float) -> tuple[float, float]:
    """Return the mean of the first `kept` outcomes and its variance.

    `chance` is the squared relative error of the share that is kept.
    """
    weights = np.zeros(ascending.size)
    weights[: floor(kept)] = 1
    if floor(kept) < ascending.size:
        weights[floor(kept)] = kept - floor(kept)
    mean = float(weights @ ascending) / kept
    inside = float(weights @ np.square(ascending - mean)) / (kept - 1)
    edge = float(ascending[ceil(kept) - 1] - mean) ** 2
    trimmed = 1 - kept / ascending.size
    return mean, inside / kept + edge * trimmed / kept + edge * chance


def _critical(width: float, level: float) -> float:
    """Return c with P(-c - width < Z < c) = level, between the one- and the two-sided quantile."""
    ends = (float(scipy.special.ndtri(level)), float(scipy.special.ndtri((1 + level) / 2)))

    def excess(c: float) -> float:
        return float(scipy.special.ndtr(c + width) - scipy.special.ndtr(-c)) - level

    # With a large width the one-sided quantile solves it up to rounding.
    return ends[0] if excess(ends[0]) >= 0 else float(scipy.optimize.brentq(excess, *ends))


def _share(arm: Arm) -> float:
    return arm.outcomes.size / arm.drawn


def _reason(control: Arm, treatment: Arm) -> str:
    for arm, name in ((control, "the control"), (treatment, "this arm")):
        if arm.outcomes.size < 2:
            return f"fewer than two outcomes of {name} are known"
    return ""
