"""An analysis as text for a terminal. Pure."""

from collections.abc import Iterator
from math import isinf, isnan

from experiments.reporting.figures import (
    MISSING,
    Figures,
    level_text,
    p_text,
    percent_change,
)
from experiments.reporting.verdict import balance_text
from experiments.stats.attrition import Bounds
from experiments.stats.estimate import Estimate
from experiments.stats.randomization import Randomization
from experiments.stats.survival import LogRank
from experiments.terminal.analysis import Analysis, Cap, MetricAnalysis
from experiments.terminal.analysis_data import result_verdict
from experiments.terminal.comparing import ArmResult, Beside
from experiments.terminal.layout import table_lines

_LEFT_OUT = {
    "rows_without_arm": "Rows left out because they have no arm",
    "rows_without_unit": "Rows left out because they have no unit",
    "rows_without_section": "Rows left out because they have no section",
    "units_in_several_arms": "Units left out because their rows are in several arms",
    "units_in_several_sections": "Units left out because their rows are in several sections",
}
# With fewer draws, a randomization test can find nothing at the 95 % level.
_FEW_DRAWS = 40


def analysis_lines(analysis: Analysis) -> Iterator[str]:
    """Yield the lines of the analysis. Each verdict comes before its numbers."""
    yield from _size_lines(analysis)
    yield from _balance_lines(analysis)
    yield from _withheld_lines(analysis)
    results = [result for metric in analysis.metrics for result in metric.results]
    if len(results) > 1:
        yield (
            f"There are {len(results)} comparisons. The verdicts account for all of them by Holm's "
            "p. Each p and interval is that of one comparison alone."
        )
    for metric in analysis.metrics:
        yield ""
        yield from _metric_lines(metric, analysis, is_corrected=len(results) > 1)


def _size_lines(analysis: Analysis) -> Iterator[str]:
    units, word = analysis.units, "Units" if analysis.units.has_ids else "Rows"
    if units.sections is not None:
        sizes = ", ".join(f"{arm} {size:,}" for arm, size in analysis.drawn.items())
        yield f"Sections by arm: {sizes}. Sections are compared, because they were drawn whole."
    sizes = ", ".join(f"{arm} {size:,}" for arm, size in units.sizes.items())
    yield f"{word} by arm: {sizes}."
    if units.has_ids:
        yield f"These units have {units.rows:,} rows. A unit counts once in each metric."
    for reason, number in units.left_out.items():
        if number:
            yield f"{_LEFT_OUT[reason]}: {number:,}."


def _balance_lines(analysis: Analysis) -> Iterator[str]:
    if analysis.absent:
        yield (
            f"No row is in the planned arm {', '.join(analysis.absent)}. Do not trust the results "
            "below until you have found the cause."
        )
        return
    plan = "the planned weights" if analysis.request.weights else "an equal draw"
    text = balance_text(analysis.balance)
    if analysis.units.sections is not None:
        text = text.replace("learners", "sections").replace("learner", "section")
    yield f"Compared with {plan}: {text}"


def _withheld_lines(analysis: Analysis) -> Iterator[str]:
    for metric in analysis.metrics:
        for result in metric.results:
            if result.withheld:
                yield (
                    f"Not compared: {metric.request.column} of {result.comparison.arm}, because "
                    f"{result.withheld}."
                )


def _metric_lines(
    metric: MetricAnalysis, analysis: Analysis, *, is_corrected: bool
) -> Iterator[str]:
    yield f"{_title(metric)} ({metric.kind.title})"
    if any(metric.missing.values()):
        missing = ", ".join(f"{arm} {count:,}" for arm, count in metric.missing.items() if count)
        word = "Units" if analysis.units.has_ids else "Rows"
        yield f"  {word} left out because they have no value: {missing}."
    if analysis.units.has_ids:
        yield f"  The outcome of a unit is {metric.kind.rows_of_a_unit}."
    if metric.cap is not None:
        yield f"  {_cap_text(metric.cap)}"
    figures = Figures.of([result.comparison for result in metric.results])
    for result in metric.results:
        # The reason is at the top, so that nobody reads numbers first.
        is_withheld = f"{result.comparison.arm} is not compared, as said above."
        text = is_withheld if result.withheld else result_verdict(metric, result, figures).text
        yield f"  {text}"
    yield from (f"  {line}" for line in _number_lines(metric, figures, is_corrected=is_corrected))
    for result in metric.results:
        yield from (f"  {line}" for line in _further_lines(result, figures))


def _title(metric: MetricAnalysis) -> str:
    return " : ".join(metric.request.columns)


def _cap_text(cap: Cap) -> str:
    if isnan(cap.value):
        return "Nothing is capped, because no outcome is counted."
    cut = "; ".join(
        f"{arm} {each.learners_share:.2%}"
        + ("" if isnan(each.total_share) else f" ({each.total_share:.1%} of the total cut)")
        for arm, each in cap.arms.items()
        if not isnan(each.learners_share)
    )
    return (
        f"Capped at {cap.value:g}, percentile {cap.percentile:g} of all arms together. Above it: "
        f"{cut}."
    )


def _number_lines(metric: MetricAnalysis, figures: Figures, *, is_corrected: bool) -> Iterator[str]:
    results = {result.comparison.arm: result for result in metric.results}
    rows = []
    for arm, sums in metric.outcomes.items():
        row = {"arm": arm, **metric.kind.cells(sums, figures)}
        if arm in results:
            row |= _difference_cells(results[arm], figures, is_corrected=is_corrected)
        rows.append(row)
    return table_lines(rows)


def _difference_cells(result: ArmResult, figures: Figures, *, is_corrected: bool) -> dict[str, str]:
    difference, relative = result.comparison.difference, result.comparison.relative
    cells = {
        "difference": figures.change_with_unit(figures.apart(result.comparison)),
        f"{level_text(difference.level)} interval": _interval(difference, figures),
        "p": _p(difference.p_value),
    }
    if not difference.has_value:
        cells["difference"] = MISSING
    if is_corrected:
        cells["Holm's p"] = _p(result.holm)
    cells["relative"] = percent_change(relative.value)
    cells["relative interval"] = _relative_interval(relative)
    return cells


def _interval(found: Estimate, figures: Figures) -> str:
    return figures.interval(found) if found.has_interval else MISSING


def _relative_interval(found: Estimate) -> str:
    if not found.has_interval:
        return MISSING
    high = "no limit" if isinf(found.high) else percent_change(found.high)
    return f"{percent_change(found.low)} to {high}"


def _p(p_value: float) -> str:
    return MISSING if isnan(p_value) else p_text(p_value).removeprefix("p ").removeprefix("= ")


def _further_lines(result: ArmResult, figures: Figures) -> Iterator[str]:
    """Yield the methods of a comparison, its reasons, and what stands beside it."""
    arm, comparison = result.comparison.arm, result.comparison
    # The verdict has the reason of a difference without an interval.
    if not comparison.difference.reason:
        yield f"{arm}: {_method(comparison.difference)}."
    reason = comparison.relative.reason
    if reason and reason != comparison.difference.reason:
        yield f"{arm}, relative: no interval, because {reason}."
    for note in result.notes:
        yield f"{arm}: {note}."
    if "icc" in result.figures and not isnan(result.figures["icc"]):
        yield (
            f"{arm}: {result.figures['sections']:g} sections, intraclass correlation "
            f"{result.figures['icc']:.3f}, design effect {result.figures['design_effect']:.2f}."
        )
    for name, found in result.beside.items():
        yield f"{arm}, {name}: {_beside_text(found, figures)}"


def _method(found: Estimate) -> str:
    parts = [f"{found.test} test"]
    if not isnan(found.statistic):
        parts.append(f"{'z' if isnan(found.df) else 't'} = {found.statistic:.4f}")
    if not isnan(found.df):
        parts.append(f"df = {found.df:.2f}")
    return f"{', '.join(parts)}; interval by {found.method}"


def _beside_text(found: Beside, figures: Figures) -> str:
    match found:
        case Estimate():
            apart = figures.change_with_unit(found.value)
            numbers = f"{apart}, {level_text(found.level)} interval {_interval(found, figures)}"
            if found.reason:
                return f"{apart}, no interval, because {found.reason}."
            return f"{numbers}, {p_text(found.p_value)} ({_method(found)})."
        case LogRank():
            return _log_rank_text(found)
        case Randomization():
            return _randomization_text(found)
        case Bounds():
            return _bounds_text(found, figures)


def _log_rank_text(found: LogRank) -> str:
    if found.reason:
        return f"not known, because {found.reason}."
    return (
        f"chi-square = {found.chi_square:.3f}, {p_text(found.p_value)}. In this arm "
        f"{found.observed:g} events happened, and equal arms would have {found.expected:.1f}."
    )


def _randomization_text(found: Randomization) -> str:
    if found.reason:
        return f"not known, because {found.reason}."
    draws = f"all {found.draws:,}" if found.is_exact else f"{found.draws:,} random"
    least = f" With {found.draws} draws, p cannot be below {1 / found.draws:.3f}."
    return (
        f"{p_text(found.p_value)}, the share of {draws} draws with as large a difference."
        f"{least if found.draws < _FEW_DRAWS else ''}"
    )


def _bounds_text(found: Bounds, figures: Figures) -> str:
    if found.reason and isnan(found.low):
        return f"not known, because {found.reason}."
    low, high = figures.change(found.lower), figures.change_with_unit(found.upper)
    limits = f"{figures.change(found.low)} to {figures.change(found.high)}"
    return (
        f"between {low} and {high} where the outcome would be known in either arm "
        f"({level_text(found.level)} interval {limits})."
    )
