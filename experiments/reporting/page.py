"""The parts of a report page, ready to be written into HTML. Pure, no markup."""

from dataclasses import dataclass
from datetime import timedelta
from math import isfinite

from activity.texts import with_courses
from common.dates import day_text, instant_text
from experiments.metrics.definitions import HIGHER
from experiments.reporting.answer import (
    Judgement,
    interval_words,
    judge,
    judgement_text,
    withheld_reason,
)
from experiments.reporting.charts import Plot, plotted_rows
from experiments.reporting.facts import ExperimentFacts, seen_titles
from experiments.reporting.report import Report, Row
from experiments.reporting.section_checks import section_text

# The names of a judgement in the style sheet.
STYLES = {
    Judgement.BETTER: "good",
    Judgement.WORSE: "bad",
    Judgement.EARLY: "none",
    Judgement.HINT: "none",
    Judgement.NOT_FOUND: "none",
    Judgement.NOT_CLEAR: "none",
    Judgement.TOO_FEW: "unknown",
    Judgement.UNKNOWN: "unknown",
    Judgement.NOT_COMPARED: "unknown",
    Judgement.WITHHELD: "unknown",
    Judgement.UNTRUSTED: "unknown",
}


@dataclass(frozen=True)
class OutcomeRow:
    """One comparison: its name, its judgement in words with a sign, and its numbers."""

    name: str
    is_primary: bool
    style: str
    badge: str
    levels: str
    # Which direction is better, in words and on a plot.
    better: str
    side: str
    details: str
    plot: Plot | None


@dataclass(frozen=True)
class Heading:
    """The experiment's name and facts, with instants in the zone of its courses."""

    name: str
    population: str
    as_of: str
    since: str


def heading(facts: ExperimentFacts) -> Heading:
    """Return the names with the courses that the reader may see, and the instants in words."""
    titles, zone = seen_titles(facts.courses), facts.zone
    since = [
        f"{word} {day_text(at, zone=zone)}"
        for word, at in (("Started on", facts.started_at), ("stopped on", facts.stopped_at))
        if at
    ]
    return Heading(
        name=with_courses(facts.name, titles),
        population=with_courses(facts.population, titles),
        as_of=instant_text(facts.as_of, zone=zone),
        since=", ".join(since),
    )


def outcome_rows(report: Report) -> list[OutcomeRow]:
    """Return one row per outcome and arm. Rows with one axis follow each other."""
    return [_outcome_row(report, each.row, each.plot) for each in plotted_rows(report)]


def all_counted_text(report: Report) -> str:
    """Return when all learners drawn until now are counted, if that is after the first result."""
    last, first = report.all_counted_at, report.first_result_at
    if last is None or first is None or last <= first or report.facts.is_over:
        return ""
    at = instant_text(last, zone=report.facts.zone)
    return f"All learners drawn until now are counted on {at}."


def _outcome_row(report: Report, row: Row, plot: Plot | None) -> OutcomeRow:
    judgement = judge(report, row)
    several, is_higher = len(report.arms) > 2, row.metric.better == HIGHER
    return OutcomeRow(
        name=f"{row.metric.name}: {row.arm.name}" if several else row.metric.name,
        is_primary=row.metric == report.primary.metric,
        style=STYLES[judgement],
        badge=_badge(report, row, judgement),
        levels="" if withheld_reason(report, row) else _levels(row),
        better=f"{'More' if is_higher else 'Less'} is better.",
        side="right" if is_higher else "left",
        details=_details(report, row),
        plot=plot,
    )


def _details(report: Report, row: Row) -> str:
    reason = withheld_reason(report, row)
    if reason and row.metric != report.primary.metric:
        return "No comparison is given, for the same reason as in the primary outcome."
    if reason:
        return f"No comparison is given: {reason}."
    return f"{interval_words(report, row)} {section_text(report, row)}".rstrip()


def _badge(report: Report, row: Row, judgement: Judgement) -> str:
    if judgement not in (Judgement.BETTER, Judgement.WORSE):
        return judgement_text(report, judgement)
    change = row.figures.change_with_unit(row.figures.apart(row.comparison))
    return f"{judgement.value}: {change}"


def _levels(row: Row) -> str:
    levels = (row.arm.name, row.arm_level), (row.control.name, row.control_level)
    known = [f"{name} {row.figures.level(level)}" for name, level in levels if isfinite(level)]
    text = ", ".join(known)
    if not (known and row.metric.family.is_cut):
        return text
    days = row.metric.window / timedelta(days=1)
    return f"{text} (mean time, where longer times count as {days:g} days)"
