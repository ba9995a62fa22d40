"""Guardrails: whether an arm harms an outcome by more than the margin of the protocol."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import scipy

from experiments.stats.estimate import NOBODY, UNKNOWN, Estimate, unknown
from experiments.stats.means import welch_difference
from experiments.stats.score import (
    difference_statistic,
    score_difference_limits,
    score_p_value,
)
from experiments.stats.sufficient import Counts, Moments

_SCORE = "Miettinen-Nurminen score"


class Verdict(StrEnum):
    """What one interval says of a guardrail."""

    SAFE = "safe"
    HARMFUL = "harmful"
    UNKNOWN = "not known yet"


@dataclass(frozen=True)
class Margin:
    """The largest harm that the protocol accepts, in the outcome's unit and above 0."""

    size: float
    higher_is_worse: bool

    def __post_init__(self) -> None:
        if not 0 < self.size < float("inf"):
            raise ValueError("The margin is a number above 0.")

    @property
    def side(self) -> int:
        """Return 1 if a higher outcome is worse, else -1."""
        return 1 if self.higher_is_worse else -1


@dataclass(frozen=True)
class Guardrail:
    """The difference treatment minus control, and the one-sided test of a harm of the margin.

    `p_value` is that of the hypothesis that the treatment is worse by the margin or more. It is
    below (1 - level) / 2 if the interval of the difference stays within the margin.
    """

    difference: Estimate
    margin: Margin
    p_value: float

    @property
    def verdict(self) -> Verdict:
        """Return whether the interval stays within the margin, and else whether it shows harm.

        A harm that is shown but may exceed the margin counts as harmful. The CONSORT statement
        calls that inconclusive unless the whole interval lies beyond the margin (Piaggio et al.
        (2012), JAMA 308:2594, figure 1), but an experiment should stop before that.
        """
        if not self.difference.has_interval:
            return Verdict.UNKNOWN
        limits = self.margin.side * self.difference.low, self.margin.side * self.difference.high
        if max(limits) < self.margin.size:
            return Verdict.SAFE
        return Verdict.HARMFUL if min(limits) > 0 else Verdict.UNKNOWN


def rate_guardrail(
    control: Counts, treatment: Counts, margin: Margin, *, level: float = 0.95
) -> Guardrail:
    """Return the guardrail of two rates, with a margin as a difference of rates below 1.

    Interval and test are by the score statistic: Miettinen and Nurminen (1985), Statistics in
    Medicine 4:213; Farrington and Manning (1990), Statistics in Medicine 9:1447, for the test at
    the margin. Both answer if nobody has the outcome. An empty arm gives nan with a reason. Raise
    ValueError for a margin of 1 or more.
    """
    if margin.size >= 1:
        raise ValueError("The margin of a rate is below 1.")
    for arm, name in ((control, "the control"), (treatment, "this arm")):
        if not arm.n:
            reason = NOBODY.format(name)
            return Guardrail(unknown(UNKNOWN, level=level, reason=reason), margin, UNKNOWN)
    low, high = score_difference_limits(control, treatment, level=level)
    difference = Estimate(
        treatment.rate - control.rate, low, high, score_p_value(control, treatment), level,
        _SCORE, "score",
    )  # fmt: skip
    seen = np.float64(control.successes), np.float64(treatment.successes)
    z = difference_statistic(control.n, treatment.n, *seen, margin.side * margin.size)  # type: ignore[arg-type]
    return Guardrail(difference, margin, float(scipy.special.ndtr(margin.side * z)))


def mean_guardrail(
    control: Moments, treatment: Moments, margin: Margin, *, level: float = 0.95
) -> Guardrail:
    """Return the guardrail of two means, with a margin in the outcome's unit, by Welch's t.

    Arms that have no Welch interval give nan with its reason.
    """
    return mean_guardrail_of(welch_difference(control, treatment, level=level), margin)


def mean_guardrail_of(difference: Estimate, margin: Margin) -> Guardrail:
    """Return the guardrail of a difference with a t distribution. Without one it has the reason."""
    if not difference.has_interval:
        return Guardrail(difference, margin, UNKNOWN)
    t = (margin.side * difference.value - margin.size) / difference.standard_error
    return Guardrail(difference, margin, float(scipy.special.stdtr(difference.df, t)))
