"""What stands beside a comparison of sections: the draw alone, and each section once. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from math import factorial, isnan, prod

from experiments.reporting.figures import Figures, level_text, p_text
from experiments.reporting.report import MetricResult, Report, Row
from experiments.reporting.verdict import verdict
from experiments.stats.estimate import UNKNOWN, Estimate
from experiments.stats.multiplicity import holm
from experiments.stats.randomization import Randomization
from experiments.stats.sections import SectionComparison


def section_text(report: Report, row: Row) -> str:
    """Return the checks of a comparison of sections as sentences; empty if there are none."""
    result = next(each for each in report.results if each.metric == row.metric)
    checked = result.checks.get(row.arm.key)
    if checked is None:
        return ""
    texts = (
        _by_t(checked.found, row.comparison.difference),
        _without_blocks(report.blocks),
        _by_the_draw(report, row, checked.randomization),
        _once(checked.found.of_sections, row.figures),
        _alike(checked.found),
    )
    return " ".join(filter(None, texts))


def _by_t(found: SectionComparison, difference: Estimate) -> str:
    return (
        f"The p-value is by a t with {difference.df:.3g} degrees of freedom, from "
        f"{found.sections:,} sections."
    )


def _without_blocks(blocks: Sequence[Sequence[int]]) -> str:
    """Return that the t leaves out how the sections were drawn; empty without blocks of several."""
    if len(blocks) < 2:
        return ""
    name = "pair" if max(map(sum, blocks)) == 2 else "block"
    return (
        f"It does not use the {name}s of the draw: where sections of a {name} are alike, the "
        "interval is wider than it need be."
    )


def is_by_the_draw(report: Report, row: Row) -> bool:
    """Return whether the sections are so few that only the p-value of the draw is to be quoted."""
    found = _of_draw(report, row)
    return found is not None and not found.reason and row.p_value < found.least


def p_of_the_draw(report: Report, row: Row) -> tuple[float, float]:
    """Return the p-value of the randomization test, plain and corrected as those of the table."""
    found = _of_draw(report, row)
    if found is None:
        return UNKNOWN, UNKNOWN
    family = _family(report, row)
    if not report.facts.is_corrected:
        return found.p_value, found.p_value
    draws = [_of_draw(report, each) for each in family]
    plain = [UNKNOWN if each is None else each.p_value for each in draws]
    return found.p_value, holm(plain, planned=len(family))[family.index(row)]


def never_found_texts(report: Report) -> list[str]:
    """Return which outcomes can never count as found, because so few draws were possible."""
    primary, others = report.results[0].rows, [r for e in report.results[1:] for r in e.rows]
    told = (_never_found(report, rows) for rows in (primary, others))
    return [text for text in told if text]


def _never_found(report: Report, rows: Sequence[Row]) -> str:
    draws = [each for row in rows if (each := _of_draw(report, row)) and not each.reason]
    if not draws:
        return ""
    number = len(rows) if report.facts.is_corrected else 1
    # The smallest of Holm's p-values is the smallest p times the number of comparisons.
    least = min(each.least for each in draws) * number
    if least <= 1 - report.facts.level:
        return ""
    names = ", ".join(dict.fromkeys(f"“{row.metric.name}”" for row in rows))
    among = f" among {number:,} comparisons" if number > 1 else ""
    return (
        f"The possible draws of so few sections give no p below {least:.2g}{among}, so no "
        f"difference can count as found here in {names}, however large it is."
    )


def decided_by_the_draw(report: Report) -> Report:
    """Return the report in which no difference is found that so few sections cannot show.

    A t may call it found with a p-value below all that the draw could give, because 12 sections
    say little of how sections vary. What is to be quoted decides then, corrected as the others.
    """
    return replace(
        report,
        results=[
            replace(result, rows=[_decided(report, row) for row in result.rows])
            for result in report.results
        ],
    )


def _decided(report: Report, row: Row) -> Row:
    if not is_by_the_draw(report, row):
        return row
    found = verdict(
        replace(row.comparison, arm=row.arm.name, control=row.control.name),
        outcome=row.metric.words,
        figures=row.figures,
        corrected_p=row.corrected_p,
        drawn_p=p_of_the_draw(report, row)[1],
    )
    return replace(row, verdict=found)


def _family(report: Report, row: Row) -> list[Row]:
    """Return the comparisons that are corrected together: the primary outcome's, or all others."""
    rows = report.primary.rows
    if row.metric == report.primary.metric:
        return rows
    return [each for result in report.results[1:] for each in result.rows]


def _of_draw(report: Report, row: Row) -> Randomization | None:
    checked = _result(report, row).checks.get(row.arm.key)
    return checked.randomization if checked is not None else None


def _result(report: Report, row: Row) -> MetricResult:
    return next(each for each in report.results if each.metric == row.metric)


def _by_the_draw(report: Report, row: Row, found: Randomization | None) -> str:
    if found is None or found.reason:
        return ""
    ways = f"all {found.draws:,} ways" if found.is_exact else f"{found.draws:,} random ways"
    text = (
        f"The draw alone, without any model: of {ways} in which these sections could have been "
        f"drawn, {found.p_value:.1%} give a difference at least as large (randomization test, "
        f"{p_text(found.p_value)}{_corrected(report, row)})."
    )
    if not is_by_the_draw(report, row):
        return text
    return f"{text} So few sections can give no smaller p-value by the draw, so quote this one."


def _corrected(report: Report, row: Row) -> str:
    number = len(_family(report, row))
    if not report.facts.is_corrected or number < 2:
        return ""
    corrected = p_of_the_draw(report, row)[1]
    return f"; {p_text(corrected)} corrected for {number:,} comparisons"


def drawn_text(blocks: Sequence[Sequence[int]]) -> str:
    """Return how the sections were drawn, from the numbers of each block's sections by arm.

    The possible draws are those that give each arm as many sections of each block as it got.
    """
    if not blocks:
        return ""
    ways = prod(factorial(sum(each)) // prod(map(factorial, each)) for each in blocks)
    sizes = sorted({sum(each) for each in blocks})
    size = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    blocks_are = "1 block" if len(blocks) == 1 else f"{len(blocks):,} blocks"
    return (
        "The sections were put in the order of their size, and chance shared the arms out within "
        f"each block of {size} neighbors in that order: {blocks_are}, so {_about(ways)} draws were "
        "possible."
    )


def _about(ways: int) -> str:
    return f"{ways:,}" if ways < 10**9 else f"about 10^{len(str(ways)) - 1}"


def _once(found: Estimate, figures: Figures) -> str:
    if not found.has_interval:
        return ""
    figures = figures.showing(found)
    return (
        f"With each section counted once, large or small, the difference is "
        f"{figures.change_with_unit(found.value)} ({level_text(found.level)} interval "
        f"{figures.interval(found)}{figures.unit.points}; {p_text(found.p_value)})."
    )


def _alike(found: SectionComparison) -> str:
    """Return how alike learners of one section are, and what that costs; empty if not known."""
    if isnan(found.icc):
        return ""
    if found.icc <= 0:
        return (
            "Learners of one section are no more alike than others (intraclass correlation "
            f"{_icc(found.icc)}). Among few sections that is chance at times, and then the "
            "interval is too narrow."
        )
    return (
        f"Learners of one section are alike (intraclass correlation {_icc(found.icc)}), so the "
        f"learners tell as much as {1 / found.design_effect:.0%} of them would, drawn one by one."
    )


def _icc(value: float) -> str:
    # 0.00 would read as none, beside what it costs.
    return f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.3f}"
