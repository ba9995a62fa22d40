"""Comparison of arms whose sections were drawn whole. Single units are never compared. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from experiments.stats.adjusted import Rows, adjusted_difference
from experiments.stats.balance import ALARM
from experiments.stats.by_section import check_sections, sections_of
from experiments.stats.estimate import Estimate
from experiments.stats.means import relative_mean
from experiments.stats.sections import changes_left_out, section_difference
from experiments.stats.sufficient import Moments
from experiments.terminal.comparing import (
    TOO_LARGE,
    ArmResult,
    ArmRows,
    Beside,
    levels,
)
from experiments.terminal.kinds import Floats, Kind
from experiments.terminal.units import Codes

_NO_VALUES = (
    "whole sections were drawn, and this command does not compare times by section; reports do"
)


def compare_sections(control: ArmRows, arm: ArmRows, *, kind: Kind, level: float) -> ArmResult:
    """Return the comparison with sections as the units, and what checks it beside it.

    With covariates, the means of sections are adjusted for the means of the covariates. The
    difference per unit is not: with few sections, its slopes would be too uncertain.
    """
    nothing = partial(levels, control, arm, kind=kind, level=level)
    reason = _missing_reason(control, arm)
    if reason:
        return ArmResult(nothing(reason=reason), withheld=reason)
    if kind.values is None:
        return ArmResult(nothing(reason=_NO_VALUES))
    values = [kind.values(each.parts) for each in (control, arm)]
    if any(np.isnan(each).any() for each in values):
        return ArmResult(nothing(reason=TOO_LARGE))
    arms = [
        _by_section(each.sections[each.known], outcomes)
        for each, outcomes in zip((control, arm), values, strict=True)
    ]
    drawn = sections_of(arms[0], arms[1])
    checked = check_sections(drawn, level=level)
    found = checked.found
    comparison = replace(
        nothing(reason=""),
        difference=found.difference,
        relative=_relative(arms, found.difference),
    )
    beside: dict[str, Beside] = {"each section once": found.of_sections}
    if checked.randomization is not None:
        beside["randomization test"] = checked.randomization
    figures = {"icc": found.icc, "design_effect": found.design_effect, "sections": found.sections}
    adjusted, notes = _adjusted_sections((control, arm), values, level)
    return ArmResult(comparison, beside | adjusted, figures, notes)


def _missing_reason(control: ArmRows, arm: ArmRows) -> str:
    """Return why the arms must not be compared, by the shares of missing outcomes of sections."""
    arms = [_by_section(each.sections, (~each.known).astype(np.float64)) for each in (control, arm)]
    found = section_difference(sections_of(arms[0], arms[1])).difference
    # Sections in which all or no outcomes are missing have no error.
    if not (found.p_value < ALARM or abs(found.value) == 1):
        return ""
    return (
        f"outcomes are missing in {arm.missing.successes:,} of {arm.missing.n:,} in {arm.name} and "
        f"in {control.missing.successes:,} of {control.missing.n:,} in {control.name}, so a "
        "difference may come from the missing ones alone"
    )


def _adjusted_sections(
    arms: Sequence[ArmRows], values: Sequence[Floats], level: float
) -> tuple[dict[str, Beside], tuple[str, ...]]:
    if not arms[0].covariates:
        return {}, ()
    rows = [_section_rows(arm, outcomes) for arm, outcomes in zip(arms, values, strict=True)]
    found = adjusted_difference(rows[0], rows[1], level=level)
    notes = tuple(note.replace("learner", "section") for note in found.notes)
    if not found.columns:
        return {}, notes
    names = ", ".join(found.columns)
    means = f"the section means are adjusted for {names}"
    return {"each section once, adjusted": found.estimate}, (means, *notes)


def _section_rows(arm: ArmRows, outcomes: Floats) -> Rows:
    codes = arm.sections[arm.known]
    covariates = {name: _means(codes, each) for name, each in arm.covariates.items()}
    return Rows(_means(codes, outcomes), covariates)


def _means(codes: Codes, values: Floats) -> Floats:
    """Return the mean of each section's known values, nan if it has none."""
    known = ~np.isnan(values)
    sizes = np.bincount(codes)
    times = np.bincount(codes[known], minlength=sizes.size)
    totals = np.bincount(codes[known], weights=values[known], minlength=sizes.size)
    means = np.where(times > 0, totals / np.maximum(times, 1), np.nan)
    return means[sizes > 0]


def _by_section(codes: Codes, values: Floats) -> list[Moments]:
    """Return the moments of each section that has a value."""
    places = np.unique(codes, return_inverse=True)[1].astype(np.int32)
    sizes, means = np.bincount(places), _means(places, values)
    spreads = np.bincount(places, weights=np.square(values - means[places]))
    columns = (each.tolist() for each in (sizes, means, spreads))
    return [Moments(*numbers) for numbers in zip(*columns, strict=True)]


def _relative(arms: Sequence[Sequence[Moments]], difference: Estimate) -> Estimate:
    """Return the relative difference that agrees with the difference about 0."""
    number = sum(map(len, arms))
    control, treatment = (_with_jackknife_error(arm, number) for arm in arms)
    return relative_mean(control, treatment, difference)


def _with_jackknife_error(arm: Sequence[Moments], number: int) -> Moments:
    """Return the arm's moments with deviations that give its part of the difference's error.

    `number` is that of the sections of both arms.
    """
    whole = sum(arm, start=Moments(0, 0.0, 0.0))
    if len(arm) < 2:
        return whole
    variance = (number - 1) / number * float(np.square(changes_left_out(arm)).sum())
    return Moments(whole.n, whole.mean, variance * whole.n * (whole.n - 1))
