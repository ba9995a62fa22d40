"""Which one interval of a report to quote, and what the others are for. Pure."""

from collections.abc import Iterator
from enum import StrEnum

from experiments.reporting.figures import level_text, p_text
from experiments.reporting.report import Report, Row
from experiments.reporting.section_checks import is_by_the_draw, p_of_the_draw


class Quoted(StrEnum):
    """The interval to quote, by the names of its limits in the files."""

    FIXED = "low, high"
    ANY_TIME = "any_time_low, any_time_high"
    NONE = ""


def quoted(report: Report, row: Row) -> Quoted:
    """Return which interval of the comparison to quote; none but for the primary outcome.

    While an experiment runs and its last look is to come, somebody looks again, so only the
    interval for any time keeps its promise. At the end of one without a planned end it is the fixed
    one, unless the results chose the end: only the reader knows that.
    """
    is_given = row.comparison.difference.has_interval and not report.withheld_reason(row.arm)
    if row.metric != report.primary.metric or not is_given:
        return Quoted.NONE
    looking = report.looking
    if not report.is_open or looking is None or looking.is_final:
        return Quoted.FIXED
    is_known = row.arm.key in looking.sequences and looking.sequences[row.arm.key].has_interval
    return Quoted.ANY_TIME if is_known else Quoted.FIXED


def quote_texts(report: Report) -> Iterator[str]:
    """Yield the one number of each arm to quote, then what the other ranges are for."""
    texts = [_quote(report, row) for row in report.primary.rows if quoted(report, row)]
    if not texts:
        return
    yield from texts
    others = list(_others(report))
    if others:
        yield f"Do not quote the others in its place. {' '.join(others)}"


def _quote(report: Report, row: Row) -> str:
    difference, kind = row.comparison.difference, quoted(report, row)
    change = row.figures.change_with_unit(row.figures.apart(row.comparison))
    what = f"“{row.metric.name}”, “{row.arm.name}” against “{row.control.name}”: {change}"
    points = row.figures.unit.points
    if kind is Quoted.ANY_TIME and report.looking is not None:
        found = report.looking.sequences[row.arm.key]
        return (
            f"Quote this one while it runs: {what} ({level_text(found.level)} interval for any "
            f"time {row.figures.showing(found).interval(found)}{points}; {p_text(found.p_value)})."
        )
    may_be_chosen = not report.facts.has_end and not report.facts.is_adaptive
    unless = ", unless the results chose the end" if may_be_chosen else ""
    return (
        f"Quote this one, which is marked in the table{unless}: {what} "
        f"({level_text(difference.level)} interval {row.figures.interval(difference)}{points}; "
        f"{_p(report, row)}).{_if_chosen(report, row) if may_be_chosen else ''}"
    )


def _if_chosen(report: Report, row: Row) -> str:
    """Return what to quote instead if somebody ended the experiment because of its results."""
    start = " If it was ended because of what this report showed"
    found = report.looking.sequences.get(row.arm.key) if report.looking else None
    if found is None or not found.has_interval:
        return f"{start}, quote no interval: the plan named no end, and this one is too narrow."
    return (
        f"{start}, quote the interval for any time in its place: "
        f"{row.figures.showing(found).interval(found)}{row.figures.unit.points} "
        f"({p_text(found.p_value)})."
    )


def _p(report: Report, row: Row) -> str:
    """Return the p-value to quote: that of the draw where only it is possible, and corrected."""
    by_draw = is_by_the_draw(report, row)
    plain, corrected = p_of_the_draw(report, row) if by_draw else (row.p_value, row.corrected_p)
    name = " by the draw" if by_draw else ""
    if not report.facts.is_corrected or len(report.primary.rows) < 2:
        return f"{p_text(plain)}{name}"
    return f"{p_text(corrected)}{name}, corrected for {len(report.primary.rows):,} arms"


def _others(report: Report) -> Iterator[str]:
    """Yield what each other range that this report shows is for."""
    facts = report.facts
    if report.looking is not None and report.looking.sequences:
        kinds = {quoted(report, row) for row in report.primary.rows}
        yield (
            "The interval of the table is for the end."
            if Quoted.ANY_TIME in kinds
            else "The interval for any time is for those who look before the end"
            f"{'' if facts.has_end else ', or let the results choose it'}."
        )
    if any(row.comparison.relative.has_value for row in report.primary.rows):
        yield "“Relative” is the same difference as a share of the control."
    if len(report.results) > 1:
        yield "The other outcomes are hints, as the plan decides by the primary one."
    if report.reach is not None and any(
        each.effect and each.effect.has_interval for each in report.reach.arms
    ):
        yield "The effect on those whom a message reached judges the message, not the arm."
    if facts.draws_sections:
        yield "The difference with each section counted once is a check of the one per learner."
    if report.staying is not None and report.staying.is_any:
        yield "Lee's bounds say what is left of it if those who left would have differed."
    if facts.pools_learners:
        yield "Readings that assume small effects, rank learners or cut large numbers are checks."
