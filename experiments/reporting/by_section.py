"""A report on whole sections: the same outcomes, compared with sections as the units. Pure."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from experiments.metrics.definitions import LOWER, Metric
from experiments.metrics.observed import Observed
from experiments.reporting.compared import of_metric
from experiments.reporting.facts import ArmFacts
from experiments.reporting.guardrails import GuardrailRow, corrected_rows, guardrail_row
from experiments.reporting.report import MetricResult, Report, metric_results
from experiments.reporting.section_checks import decided_by_the_draw
from experiments.reporting.small_cells import without_small
from experiments.stats.balance import sample_ratio
from experiments.stats.by_section import (
    CheckedSections,
    checked_arms,
    compare_sections,
    guard_sections,
)
from experiments.stats.margins import Margin

# The outcomes by metric key, section and arm key.
Sectioned = Mapping[str, Mapping[str, Mapping[str, Observed]]]


@dataclass(frozen=True)
class DrawnSections:
    """The number of drawn sections by arm key, and the stratum of each in the draw."""

    numbers: Mapping[str, int]
    strata: Mapping[str, Hashable] = field(default_factory=dict)
    # How many sections of each block got each arm, by its key.
    blocks: Sequence[Mapping[str, int]] = ()


def with_sections(
    report: Report,
    *,
    guardrails: Sequence[tuple[Metric, float]],
    observed: Mapping[str, Mapping[str, Observed]],
    sectioned: Sectioned,
    drawn: DrawnSections,
) -> Report:
    """Return the report with sections as the units.

    A comparison of single learners would find differences between equal arms, so none is left: what
    is said of learners who left or were reached is left out too.
    """
    facts, metrics = report.facts, [result.metric for result in report.results]
    arms = [replace(arm, sections=drawn.numbers.get(arm.key, 0)) for arm in report.arms]
    control = next(arm.key for arm in arms if arm.is_control)
    wholes = [of_metric(metric, arms, observed) for metric in metrics]
    compared = [
        without_small(
            compare_sections(
                _sums(sectioned[metric.key], arms),
                {key: found.sums for key, found in whole.items()},
                family=metric.family,
                control=control,
                level=facts.level,
            ),
            {key: found.n for key, found in whole.items()},
            level=facts.level,
        )
        for metric, whole in zip(metrics, wholes, strict=True)
    ]
    found = replace(
        report,
        arms=arms,
        blocks=[[block.get(arm.key, 0) for arm in arms] for block in drawn.blocks],
        balance=sample_ratio([arm.sections for arm in arms], [arm.weight for arm in arms]),
        results=[
            replace(
                result,
                by_part=sectioned[result.metric.key],
                checks=_checks(result, sectioned[result.metric.key], arms, drawn.strata),
            )
            for result in metric_results(facts, arms, metrics, wholes, compared)
        ],
        guardrails=corrected_rows(
            [
                row
                for metric, size in guardrails
                for row in _guardrail_rows(
                    Margin(size, higher_is_worse=metric.better == LOWER),
                    of_metric(metric, arms, observed),
                    _sums(sectioned[metric.key], arms),
                    report=replace(report, arms=arms),
                    metric=metric,
                )
            ],
            is_corrected=report.facts.is_corrected,
        ),
    )
    return decided_by_the_draw(found)


def _checks(
    result: MetricResult,
    sections: Mapping[str, Mapping[str, Observed]],
    arms: Sequence[ArmFacts],
    strata: Mapping[str, Hashable],
) -> dict[str, CheckedSections]:
    """Return by arm key what stands beside each comparison that has an interval."""
    sums = _sums(sections, arms)
    of_arms = {
        arm.key: [strata.get(key, "") for key, found in sections.items() if arm.key in found]
        for arm in arms
    }
    return {
        row.arm.key: checked_arms(
            sums[row.control.key],
            sums[row.arm.key],
            (of_arms[row.control.key], of_arms[row.arm.key]),
            family=result.metric.family,
            level=row.comparison.difference.level,
        )
        for row in result.rows
        if row.comparison.difference.has_interval
    }


def _guardrail_rows(
    margin: Margin,
    wholes: Mapping[str, Observed],
    sums: Mapping[str, Sequence[Any]],
    *,
    report: Report,
    metric: Metric,
) -> list[GuardrailRow]:
    family, level = metric.family, report.facts.level
    control = next(arm for arm in report.arms if arm.is_control)
    return [
        guardrail_row(
            metric,
            (control, arm),
            (wholes[control.key], wholes[arm.key]),
            guard_sections(sums[control.key], sums[arm.key], margin, family=family, level=level),
        )
        for arm in report.arms
        if not arm.is_control
    ]


def _sums(
    sections: Mapping[str, Mapping[str, Observed]], arms: Sequence[ArmFacts]
) -> dict[str, list[Any]]:
    """Return the sums of each arm's sections that have counted learners."""
    return {
        arm.key: [found[arm.key].sums for found in sections.values() if arm.key in found]
        for arm in arms
    }
