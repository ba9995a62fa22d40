"""The effect on the learners whom the treatment reached only because they were drawn into it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from experiments.stats.estimate import UNKNOWN, Estimate, t_quantile, unknown
from experiments.stats.joint import JointMoments
from experiments.stats.means import welch_difference
from experiments.stats.sections import (
    Section,
    changes_left_out,
    section_difference,
)

Floats = NDArray[np.float64]

_NOBODY = JointMoments(0, (0.0, 0.0), ((0.0, 0.0), (0.0, 0.0)))
_METHOD = "Wald ratio, Anderson-Rubin"
_NO_STAGE = "the arms do not differ in exposure, so nothing is known of the effect of exposure"
_WEAK = "the arms may not differ in exposure, so the effect of exposure has no limit"


@dataclass(frozen=True)
class ExposedSection:
    """A section that was drawn: its arm, and the sums of the outcome and the exposure (0 or 1)."""

    sums: JointMoments
    is_treated: bool


@dataclass(frozen=True)
class _Stages:
    """The differences of the outcome and of the exposure between the arms, and their errors."""

    outcome: float
    exposure: float
    outcome_variance: float
    exposure_variance: float
    covariance: float


def complier_effect(
    control: JointMoments, treatment: JointMoments, *, level: float = 0.95
) -> Estimate:
    """Return the mean effect of exposure on compliers, in the outcome's unit, with its interval.

    The columns are the outcome and the exposure (0 or 1). Compliers are exposed exactly if they are
    drawn into the treatment. The value is the difference in outcomes divided by that in exposure:
    two-stage least squares with the arm as instrument. It assumes that the arm works only through
    exposure, and that it keeps nobody from exposure. The interval holds each effect b for which
    outcome - b * exposure does not differ between the arms: it stays valid if the arms hardly
    differ in exposure, and has then no limit, with a reason. The test is that of the outcome, with
    its degrees of freedom, so both say the same about 0. Angrist, Imbens and Rubin (1996), JASA
    91:444. Anderson and Rubin (1949), Annals of Mathematical Statistics 20:46.
    """
    intended = welch_difference(control.column(0), treatment.column(0), level=level)
    if not intended.has_interval:
        return unknown(_value(control, treatment), level=level, reason=intended.reason)
    own, other = (
        np.asarray(arm.codeviations) / ((arm.n - 1) * arm.n) for arm in (control, treatment)
    )
    return _effect(intended, _stages(control, treatment, own + other))


def complier_effect_of_sections(
    drawn: Iterable[ExposedSection], *, level: float = 0.95
) -> Estimate:
    """Return `complier_effect` for sections that were drawn as a whole.

    The variances and the covariance are those of the cluster jackknife, and the degrees of freedom
    those of sections: a normal distribution would be too narrow for a few sections.
    """
    sections = [each for each in drawn if each.sums.n]
    plain = [Section(each.sums.column(0), each.is_treated) for each in sections]
    intended = section_difference(plain, level=level).difference
    arms = [[each.sums for each in sections if each.is_treated == arm] for arm in (False, True)]
    wholes = [sum(arm, start=_NOBODY) for arm in arms]
    if not intended.has_interval:
        return unknown(_value(*wholes), level=level, reason=intended.reason)
    changes = np.concatenate([_changes(arm) for arm in arms], axis=1)
    spread = (len(sections) - 1) / len(sections) * (changes @ changes.T)
    return _effect(intended, _stages(wholes[0], wholes[1], spread))


def _changes(arm: Sequence[JointMoments]) -> Floats:
    """Return the change of the arm's mean outcome and exposure (2, n) without each section."""
    return np.stack([changes_left_out([each.column(one) for each in arm]) for one in (0, 1)])


def _stages(control: JointMoments, treatment: JointMoments, spread: Floats) -> _Stages:
    outcome, exposure = np.subtract(treatment.means, control.means).tolist()
    return _Stages(outcome, exposure, float(spread[0, 0]), float(spread[1, 1]), float(spread[0, 1]))


def _value(control: JointMoments, treatment: JointMoments) -> float:
    if not control.n or not treatment.n or treatment.means[1] == control.means[1]:
        return UNKNOWN
    outcome, exposure = np.subtract(treatment.means, control.means).tolist()
    return float(outcome / exposure)


def _effect(intended: Estimate, stages: _Stages) -> Estimate:
    """Return the effect whose test is that of the intended one.

    The limits b solve (outcome - b exposure)^2 = t^2 times the variance of the left side, which is
    Fieller's equation.
    """
    level = intended.level
    if not stages.exposure:
        return unknown(UNKNOWN, level=level, reason=_NO_STAGE)
    value = stages.outcome / stages.exposure
    squared = t_quantile(intended.df, level) ** 2
    a = stages.exposure**2 - squared * stages.exposure_variance
    if a <= 0:
        return replace(unknown(value, level=level, reason=_WEAK), p_value=intended.p_value)
    b = stages.outcome * stages.exposure - squared * stages.covariance
    c = stages.outcome**2 - squared * stages.outcome_variance
    half = sqrt(max(b * b - a * c, 0.0))
    return replace(
        intended, value=value, low=(b - half) / a, high=(b + half) / a, method=_METHOD,
        standard_error=UNKNOWN,
    )  # fmt: skip
