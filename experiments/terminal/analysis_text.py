"""An analysis as text for a terminal and as plain data for JSON, with null for nan. Pure."""

from collections.abc import Iterator
from dataclasses import asdict
from math import isnan
from typing import Any

from experiments.reporting.figures import Figures, level_text, p_text, percent_change
from experiments.reporting.verdict import balance_text, verdict
from experiments.stats.comparison import Comparison
from experiments.stats.estimate import Estimate
from experiments.terminal.analysis import Analysis, MetricAnalysis


def analysis_lines(analysis: Analysis) -> Iterator[str]:
    """Yield the lines of the analysis. Each verdict comes before its numbers."""
    sizes = ", ".join(f"{arm} {size:,}" for arm, size in analysis.sizes.items())
    yield f"Rows by arm: {sizes}."
    if analysis.without_arm:
        yield f"Rows left out because they have no arm: {analysis.without_arm:,}."
    yield f"Compared with an equal draw: {balance_text(analysis.balance)}"
    for metric in analysis.metrics:
        yield ""
        yield from _metric_lines(metric)


def analysis_data(analysis: Analysis) -> dict[str, Any]:
    """Return the analysis as dicts and lists for JSON. Rates and lifts are shares, 0..1."""
    return {
        "arm_column": analysis.request.arm_column,
        "control": analysis.request.control,
        "level": analysis.request.level,
        "rows": sum(analysis.sizes.values()),
        "arms": analysis.sizes,
        "rows_without_arm": analysis.without_arm,
        "equal_sizes": {
            "p_value": _known(analysis.balance.p_value),
            "state": str(analysis.balance.state),
        },
        "metrics": [_metric_data(metric) for metric in analysis.metrics],
    }


def _metric_lines(metric: MetricAnalysis) -> Iterator[str]:
    yield f"{metric.column} ({metric.kind.title})"
    if any(metric.left_out.values()):
        left_out = ", ".join(f"{arm} {count}" for arm, count in metric.left_out.items() if count)
        yield f"  Rows left out because they have no value: {left_out}."
    for arm, found in metric.outcomes.items():
        yield f"  {arm}: {metric.kind.line(found)}"
    figures = Figures.of(metric.comparisons)
    for comparison in metric.comparisons:
        yield f"  {verdict(comparison, outcome=_outcome(metric), figures=figures).text}"
        yield f"    difference  {_numbers(comparison, figures)}"
        yield f"    relative    {_relative(comparison.relative)}"


def _numbers(comparison: Comparison, figures: Figures) -> str:
    found = comparison.difference
    apart = figures.change_with_unit(figures.apart(comparison))
    return (
        f"{apart}, {level_text(found.level)} interval {figures.interval(found)} ({found.method}); "
        f"{_test(found)}"
    )


def _relative(found: Estimate) -> str:
    if not found.has_interval:
        return f"{percent_change(found.value)} ({found.reason})"
    low, high = percent_change(found.low), percent_change(found.high)
    return f"{percent_change(found.value)}, {level_text(found.level)} interval {low} to {high}"


def _test(found: Estimate) -> str:
    if found.reason:
        return found.reason
    parts = [f"{found.test} test"]
    if not isnan(found.statistic):
        parts.append(f"{'z' if isnan(found.df) else 't'} = {found.statistic:.4f}")
    if not isnan(found.df):
        parts.append(f"df = {found.df:.2f}")
    return ", ".join([*parts, p_text(found.p_value)])


def _metric_data(metric: MetricAnalysis) -> dict[str, Any]:
    figures = Figures.of(metric.comparisons)
    return {
        "metric": metric.column,
        "kind": metric.kind.family.name,
        "arms": [
            {"arm": arm, **_outcome_data(metric, found), "left_out": metric.left_out[arm]}
            for arm, found in metric.outcomes.items()
        ],
        "comparisons": [_comparison_data(metric, each, figures) for each in metric.comparisons],
    }


def _outcome_data(metric: MetricAnalysis, found: Any) -> dict[str, float | None]:
    return {name: _known(value) for name, value in metric.kind.data(found).items()}


def _comparison_data(
    metric: MetricAnalysis, comparison: Comparison, figures: Figures
) -> dict[str, Any]:
    result = verdict(comparison, outcome=_outcome(metric), figures=figures)
    return {
        "arm": comparison.arm,
        "control": comparison.control,
        "difference": _estimate_data(comparison.difference),
        "relative": _estimate_data(comparison.relative),
        "finding": result.finding.value,
        "verdict": result.text,
    }


def _estimate_data(found: Estimate) -> dict[str, Any]:
    return {
        name: _known(value) if isinstance(value, float) else value
        for name, value in asdict(found).items()
    }


def _outcome(metric: MetricAnalysis) -> str:
    return metric.kind.words.format(column=metric.column)


def _known(value: float) -> float | None:
    return None if isnan(value) else value
