"""What stands beside a comparison of sections: the draw alone, and each section once. Pure."""

from math import isnan

from experiments.reporting.figures import Figures, level_text, p_text
from experiments.reporting.report import Report, Row
from experiments.stats.estimate import Estimate
from experiments.stats.randomization import Randomization
from experiments.stats.sections import SectionComparison
from experiments.stats.units import Unit


def section_text(report: Report, row: Row) -> str:
    """Return the checks of a comparison of sections as sentences; empty if there are none."""
    result = next(each for each in report.results if each.metric == row.metric)
    checked = result.checks.get(row.arm.key)
    if checked is None:
        return ""
    unit = row.metric.family.unit
    texts = (
        _by_t(checked.found, row.comparison.difference),
        _by_the_draw(checked.randomization, row.p_value),
        _once(checked.found.of_sections, unit),
        _alike(checked.found),
    )
    return " ".join(filter(None, texts))


def _by_t(found: SectionComparison, difference: Estimate) -> str:
    return (
        f"The p-value is by a t with {difference.df:.3g} degrees of freedom, from "
        f"{found.sections:,} sections."
    )


def _by_the_draw(found: Randomization | None, p_value: float) -> str:
    if found is None or found.reason:
        return ""
    ways = f"all {found.draws:,} ways" if found.is_exact else f"{found.draws:,} random ways"
    text = (
        f"The draw alone, without any model: of {ways} in which it could have come out, "
        f"{found.p_value:.1%} give a difference at least as large (randomization test, "
        f"{p_text(found.p_value)}). The draw was balanced among sections of similar size."
    )
    if not p_value < found.least:
        return text
    return f"{text} So few sections can give no smaller p-value by the draw, so quote this one."


def _once(found: Estimate, unit: Unit) -> str:
    if not found.has_interval:
        return ""
    figures = Figures.of_estimates([found], unit)
    return (
        f"With each section counted once, large or small, the difference is "
        f"{figures.change_with_unit(found.value)} ({level_text(found.level)} interval "
        f"{figures.interval(found)}{unit.points}; {p_text(found.p_value)})."
    )


def _alike(found: SectionComparison) -> str:
    """Return how alike learners of one section are, and what that costs; empty if not known."""
    if isnan(found.icc):
        return ""
    if found.icc <= 0:
        return (
            "Learners of one section are no more alike than others (intraclass correlation "
            f"{found.icc:.2f})."
        )
    return (
        f"Learners of one section are alike (intraclass correlation {found.icc:.2f}), so the "
        f"learners tell as much as {1 / found.design_effect:.0%} of them would, drawn one by one."
    )
