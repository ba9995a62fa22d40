"""Learners who left the course before they were counted, and what that does to a comparison. Pure.

Learners who left still count, without the outcome: they were drawn. But if an arm makes learners
leave, it also changes which learners can have the outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.metrics.columns import LeftCourse
from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.metrics.outcomes import Left
from experiments.reporting.facts import ArmFacts
from experiments.reporting.small_cells import is_small
from experiments.stats.attrition import (
    Arm,
    Bounds,
    lee_bounds,
    missing_p_value,
    withholding_reason,
)
from experiments.stats.sufficient import Counts

KEY = "left before counted"
# What must be so rare is the p-value of equal shares: ALARM in stats/balance.py.
RULE = (
    "A comparison is withheld if the arms' shares of learners who left the course within the time "
    "that counts differ with p < 0.001, or if the arm sizes can hardly be chance."
)
_LEFT = (
    "{} of {} learners in “{}” left the course within the time that counts, against {} of {} in "
    "“{}”. Where an arm makes learners leave, its difference in the outcome mixes two things: how "
    "many left, and what the others did"
)


@dataclass(frozen=True)
class ArmLeft:
    """The learners of an arm who left, against those of the control, and the bounds of the effect.

    `reason` says why the arms must not be compared; it is empty if nothing speaks against it.
    """

    arm: ArmFacts
    left: Counts
    p_value: float
    reason: str
    bounds: Bounds | None


@dataclass(frozen=True)
class Staying:
    """How many learners of each arm left before the end of the primary outcome's window."""

    control: ArmFacts
    control_left: Counts
    arms: list[ArmLeft]

    def reason_of(self, arm: ArmFacts) -> str:
        """Return why the arm must not be compared with the control; empty if it may."""
        return next((each.reason for each in self.arms if each.arm.key == arm.key), "")

    @property
    def is_hiding(self) -> bool:
        """Return whether the numbers are hidden, because an arm has too few counted learners."""
        return any(is_small(each.n) for each in (self.control_left, *(a.left for a in self.arms)))

    @property
    def is_any(self) -> bool:
        """Return whether any learner left."""
        return bool(self.control_left.successes or any(each.left.successes for each in self.arms))


def staying_metric(primary: Metric) -> Metric:
    """Return the metric that reads who left, beside the primary outcome where that is possible."""
    outcome = primary.outcome.beside(LeftCourse()) or Left()
    return Metric(KEY, KEY, primary.window, outcome, "of learners left", next(iter(Left.families)))


def staying(
    arms: Sequence[ArmFacts], observed: Mapping[str, Mapping[str, Observed]], *, level: float
) -> Staying:
    """Return who left by arm from the outcomes of `staying_metric`."""
    found = {arm.key: observed.get(arm.key, {}).get(KEY) for arm in arms}
    control = next(arm for arm in arms if arm.is_control)
    others = [arm for arm in arms if not arm.is_control]
    return Staying(
        control,
        _left(found[control.key]),
        [_arm_left((control, arm), found, level) for arm in others],
    )


def _arm_left(
    arms: tuple[ArmFacts, ArmFacts], found: Mapping[str, Observed | None], level: float
) -> ArmLeft:
    control, arm = arms
    of_control, of_arm = found[control.key], found[arm.key]
    left = _left(of_control), _left(of_arm)
    return ArmLeft(
        arm,
        left[1],
        missing_p_value(*left),
        withholding_reason(*left, names=(control.name, arm.name), words=_LEFT),
        _bounds(of_control, of_arm, level) if any(each.successes for each in left) else None,
    )


def _bounds(control: Observed | None, arm: Observed | None, level: float) -> Bounds | None:
    if control is None or arm is None or not isinstance(control.sums, dict):
        return None
    if is_small(control.n) or is_small(arm.n):
        return None
    return lee_bounds(_stayed(control), _stayed(arm), level=level)


def _stayed(observed: Observed) -> Arm:
    """Return the outcomes of those who stayed."""
    kept = [(value, times) for (value, left), times in observed.sums.items() if not left]
    values = np.array([value for value, _ in kept], dtype=np.float64)
    return Arm(np.repeat(values, [times for _, times in kept]), observed.n)


def _left(observed: Observed | None) -> Counts:
    return Counts(observed.tally[1], observed.n) if observed else Counts(0, 0)
