"""Comparison of arms of whole sections for any kind of outcome, in the shape of `comparison`."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.stats.comparison import Comparison, Family
from experiments.stats.estimate import UNKNOWN, Estimate, unknown
from experiments.stats.margins import Guardrail, Margin, mean_guardrail_of
from experiments.stats.sections import Section, section_difference

NOT_BY_SECTION = "whole sections were drawn, and this kind of outcome has no comparison by section"
_NO_RELATIVE = "a relative difference of whole sections is not computed"

# The outcomes of each arm, one element per section.
BySection = Mapping[str, Sequence[Any]]


def compare_sections(
    outcomes: BySection,
    wholes: Mapping[str, Any],
    *,
    family: Family,
    control: str,
    level: float = 0.95,
) -> list[Comparison]:
    """Return the comparison of each other arm with the control, with sections as the units.

    `wholes` are the sums of each arm, for the levels. The difference is `section_difference`.
    """
    return [
        Comparison(
            arm,
            control,
            family.unit,
            family.level(wholes[arm]),
            family.level(wholes[control]),
            _difference(outcomes[control], outcomes[arm], family, level),
            unknown(UNKNOWN, level=level, reason=_NO_RELATIVE),
        )
        for arm in outcomes
        if arm != control
    ]


def guard_sections(
    control: Sequence[Any], arm: Sequence[Any], margin: Margin, *, family: Family, level: float
) -> Guardrail:
    """Return the guardrail of two arms of sections, by the t of `section_difference`."""
    return mean_guardrail_of(_difference(control, arm, family, level), margin)


def _difference(
    control: Sequence[Any], arm: Sequence[Any], family: Family, level: float
) -> Estimate:
    per_learner = family.per_section
    if per_learner is None:
        return unknown(UNKNOWN, level=level, reason=NOT_BY_SECTION)
    sections = [
        Section(moments, is_treated)
        for is_treated, of_arm in ((False, control), (True, arm))
        for moments in (per_learner(of_arm) if of_arm else [])
    ]
    return section_difference(sections, level=level).difference
