"""Comparison of an arm of a table with the control: unit by unit, adjusted, or by section. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from experiments.stats.adjusted import Rows, adjusted_difference
from experiments.stats.attrition import Arm, Bounds, lee_bounds, withholding_reason
from experiments.stats.comparison import Comparison, compare_arms
from experiments.stats.estimate import UNKNOWN, Estimate, unknown
from experiments.stats.means import relative_mean
from experiments.stats.randomization import Randomization
from experiments.stats.sufficient import Counts
from experiments.stats.survival import LogRank
from experiments.terminal.kinds import Floats, Kind, Parts
from experiments.terminal.units import Codes, Mask

TOO_LARGE = "there is no denominator, or the numbers are too far apart in size"


@dataclass(frozen=True)
class ArmRows:
    """An arm's units: which of them have an outcome, and the outcomes and covariates of those.

    `sections` is the section of every unit, empty if there are none.
    """

    name: str
    known: Mask
    parts: Parts
    sums: Any
    covariates: Mapping[str, Floats]
    sections: Codes

    @property
    def missing(self) -> Counts:
        """Return how many of the arm's units have no outcome."""
        return Counts(int((~self.known).sum()), self.known.size)


# What stands beside a comparison, and answers another question than it.
Beside = Estimate | LogRank | Randomization | Bounds


@dataclass(frozen=True)
class ArmResult:
    """The comparison of an arm, with what stands beside it by name, and notes in words.

    `figures` are numbers of the comparison of sections. `holm` is the p-value adjusted for all
    comparisons of the analysis. `withheld` is why outcomes must not be compared although they could
    be.
    """

    comparison: Comparison
    beside: Mapping[str, Beside] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    holm: float = UNKNOWN
    withheld: str = ""


def compare_units(control: ArmRows, arm: ArmRows, *, kind: Kind, level: float) -> ArmResult:
    """Return the comparison of units that were drawn one by one."""
    reason = withholding_reason(control.missing, arm.missing, names=(control.name, arm.name))
    if reason:
        nothing = levels(control, arm, kind=kind, level=level, reason=reason)
        return ArmResult(nothing, _bounds(control, arm, kind, level), withheld=reason)
    sums = {control.name: control.sums, arm.name: arm.sums}
    comparison = compare_arms(sums, family=kind.family, control=control.name, level=level)[0]
    beside: dict[str, Beside] = {}
    if kind.second_test is not None:
        beside["log-rank test"] = kind.second_test(control.sums, arm.sums)
    return ArmResult(comparison, beside)


def compare_adjusted(control: ArmRows, arm: ArmRows, *, kind: Kind, level: float) -> ArmResult:
    """Return the comparison adjusted for the covariates, with the unadjusted one beside it."""
    found = compare_units(control, arm, kind=kind, level=level)
    if found.withheld:
        return found
    if kind.values is None:
        return replace(found, notes=("not adjusted: times to an event cannot be",))
    outcomes = [kind.values(each.parts) for each in (control, arm)]
    if any(np.isnan(each).any() for each in outcomes):
        return replace(found, notes=(f"not adjusted: {TOO_LARGE}",))
    rows = (
        Rows(values, each.covariates) for values, each in zip(outcomes, (control, arm), strict=True)
    )
    adjusted = adjusted_difference(*rows, level=level)
    if not adjusted.columns:
        return replace(found, notes=adjusted.notes)
    comparison = replace(
        found.comparison,
        arm_level=adjusted.arms[1].mean,
        control_level=adjusted.arms[0].mean,
        difference=adjusted.estimate,
        relative=relative_mean(*adjusted.arms, adjusted.estimate),
    )
    notes = (f"adjusted for {', '.join(adjusted.columns)} (n = {adjusted.n:,})", *adjusted.notes)
    beside = {"unadjusted": found.comparison.difference}
    return ArmResult(comparison, beside, notes=notes)


def levels(control: ArmRows, arm: ArmRows, *, kind: Kind, level: float, reason: str) -> Comparison:
    """Return the levels of two arms without a comparison, for this reason."""
    nothing = unknown(UNKNOWN, level=level, reason=reason)
    of_arm, of_control = (kind.family.level(each.sums) for each in (arm, control))
    return Comparison(
        arm.name, control.name, kind.family.unit, of_arm, of_control, nothing, nothing
    )


def _bounds(control: ArmRows, arm: ArmRows, kind: Kind, level: float) -> dict[str, Beside]:
    # The bounds trim single outcomes, and a ratio of totals has none.
    if kind.values is None or len(control.parts) > 1:
        return {}
    arms = [Arm(each.parts[0], each.known.size) for each in (control, arm)]
    return {"Lee's bounds": lee_bounds(*arms, level=level)}
