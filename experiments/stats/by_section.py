"""Comparison of arms of whole sections for any kind of outcome, in the shape of `comparison`."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any

from experiments.stats.comparison import Comparison, Family
from experiments.stats.estimate import NOBODY, UNKNOWN, Estimate, unknown
from experiments.stats.margins import Guardrail, Margin, mean_guardrail_of
from experiments.stats.randomization import Randomization, randomization_test
from experiments.stats.sections import Section, SectionComparison, section_difference
from experiments.stats.sufficient import Moments

NOT_BY_SECTION = "whole sections were drawn, and this kind of outcome cannot be compared by section"
_NO_RELATIVE = (
    "for whole sections only the difference is computed by leaving out each section, and a share "
    "of the control would need such an error of its own"
)
_NOBODY = [NOBODY.format(name) for name in ("the control", "this arm")]
_NOT_ONCE = "an adjusted difference is not given with each section counted once"
# Up to this number of sections, the draw alone checks the t distribution.
FEW_SECTIONS = 40
# The same sections must give the same numbers.
_SEED = 20_250_901

# The outcomes of each arm, one element per section.
BySection = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class CheckedSections:
    """The comparison of two arms of sections, and the test by the draw alone beside it.

    With more than 40 sections, the test is None: the t distribution needs no check then.
    """

    found: SectionComparison
    randomization: Randomization | None


def check_sections(drawn: Sequence[Section], *, level: float = 0.95) -> CheckedSections:
    """Return the comparison of the sections, and the test that needs no model of the outcomes."""
    found = section_difference(drawn, level=level)
    is_few = len(drawn) <= FEW_SECTIONS
    return CheckedSections(found, randomization_test(drawn, seed=_SEED) if is_few else None)


def sections_of(
    control: Sequence[Moments],
    arm: Sequence[Moments],
    strata: Sequence[Sequence[Hashable]] = (),
) -> list[Section]:
    """Return the sections of both arms, the control's first. `strata` are those of each arm."""
    return [
        Section(moments, bool(place), strata[place][at] if strata else "")
        for place, of_arm in enumerate((control, arm))
        for at, moments in enumerate(of_arm)
    ]


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
            _without_level(outcomes, wholes, (control, arm), family, level)
            or _difference(outcomes[control], outcomes[arm], family, level),
            unknown(UNKNOWN, level=level, reason=_NO_RELATIVE),
            is_adjusted=family.is_adjusted,
        )
        for arm in outcomes
        if arm != control
    ]


def guard_sections(
    control: Sequence[Any], arm: Sequence[Any], margin: Margin, *, family: Family, level: float
) -> Guardrail:
    """Return the guardrail of two arms of sections, by the t of `section_difference`."""
    return mean_guardrail_of(_difference(control, arm, family, level), margin)


def per_learner(sections: Sequence[Any], *, family: Family) -> list[Moments]:
    """Return the moments of each section of an arm; none if the kind has none by section."""
    if family.per_section is None or not sections:
        return []
    return family.per_section(sections)


def checked_arms(
    control: Sequence[Any], arm: Sequence[Any], strata: Sequence[Sequence[Hashable]],
    *, family: Family, level: float,
) -> CheckedSections:  # fmt: skip
    """Return what stands beside the comparison of the sections of two arms.

    If the outcome is adjusted, the draws are those of what the covariates leave unexplained. It has
    no comparison of sections counted once, as that would take the slopes for certain.
    """
    if family.of_draw is None:
        moments = per_learner(control, family=family), per_learner(arm, family=family)
        return check_sections(sections_of(*moments, strata), level=level)
    found = check_sections(sections_of(*family.of_draw(control, arm), strata), level=level)
    once = unknown(UNKNOWN, level=level, reason=_NOT_ONCE)
    return replace(found, found=replace(found.found, of_sections=once))


def _without_level(
    outcomes: BySection,
    wholes: Mapping[str, Any],
    arms: tuple[str, str],
    family: Family,
    level: float,
) -> Estimate | None:
    """Return why sections with learners have no rate or mean; None if they have."""
    if all(outcomes[arm] for arm in arms) and any(isnan(family.level(wholes[arm])) for arm in arms):
        found = family.compare(wholes[arms[0]], wholes[arms[1]], level)[0]
        # Of arms without learners, the missing sections are the reason.
        return None if found.reason in _NOBODY else found
    return None


def _difference(
    control: Sequence[Any], arm: Sequence[Any], family: Family, level: float
) -> Estimate:
    if family.by_section is not None:
        return family.by_section(control, arm, level)
    if family.per_section is None:
        return unknown(UNKNOWN, level=level, reason=NOT_BY_SECTION)
    arms = [per_learner(each, family=family) for each in (control, arm)]
    return section_difference(sections_of(arms[0], arms[1]), level=level).difference
