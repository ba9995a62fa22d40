"""The sentences and table cells of a report page, and the rows of its file. Pure, no markup."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import isfinite
from statistics import median
from typing import Any

from common.dates import instant_text
from experiments.metrics.outcomes import TALLIES
from experiments.reporting.adaptive.text import adapting_texts
from experiments.reporting.facts import ArmFacts, CourseFacts
from experiments.reporting.figures import MISSING, Figures, level_text, p_text, percent_change
from experiments.reporting.quoting import Quoted, quoted
from experiments.reporting.report import MetricResult, Report, Row
from experiments.reporting.section_checks import drawn_text, is_by_the_draw, p_of_the_draw
from experiments.reporting.small_cells import FEW, REASON, is_small

CSV_COLUMNS = (
    "experiment", "as_of", "metric", "kind", "arm", "is_control", "assigned", "counted", "waiting",
    *TALLIES, "rate_or_mean", "lift", "low", "high", "relative_lift", "relative_low",
    "relative_high", "p_value", "interval_level", "method", "test", "finding", "reason",
)  # fmt: skip
_CORRECTED = (
    "The p-values of the primary outcome are corrected for the number of arms, and those of the "
    "other outcomes for the number of all their planned comparisons (Holm). Intervals are not "
    "corrected."
)
# The finding of a comparison that is not given.
WITHHELD = "withheld"
NOBODY_YET = "No learner has been drawn yet."


@dataclass(frozen=True)
class NumberRow:
    """The cells of one arm in one metric. The control's cells for the difference are empty."""

    metric: str
    # The number of rows that the metric's name spans; 0 if an earlier row shows the name.
    span: int
    arm: str
    counted: str
    total: str
    level: str
    difference: str = ""
    interval: str = ""
    relative: str = ""
    p_value: str = ""
    corrected: str = ""
    reason: str = ""
    # Its interval is the one to quote.
    is_quoted: bool = False


@dataclass(frozen=True)
class DrawRow:
    """The cells of one arm's size."""

    arm: str
    share: str
    assigned: str
    expected: str
    # Only where whole sections were drawn: the expected number is theirs.
    sections: str = ""


def hindrances(courses: Sequence[CourseFacts]) -> list[str]:
    """Return the courses from which no learner is drawn and why, one sentence per course.

    A course that the reader may not see has no sentence.
    """
    if not courses:
        return ["The playbook belongs to no course, so no learner can be drawn."]
    return [_hindrance(course) for course in courses if course.is_seen and not course.draws]


def _hindrance(course: CourseFacts) -> str:
    if course.stopped_at is None:
        return f"The course {course.title} is not live. Its learners are drawn once it is live."
    stopped = instant_text(course.stopped_at, zone=course.time_zone)
    return (
        f"The course {course.title} is simulated and its clock stopped on {stopped}. "
        "No more learners are drawn."
    )


def draw_summary(report: Report) -> str:
    """Return a sentence with the number of learners drawn per arm, or why none was drawn."""
    if not report.assigned:
        return _nobody(report)
    arms = ", ".join(f"{arm.assigned:,} into {arm.name}" for arm in report.arms)
    learners = "learner was" if report.assigned == 1 else "learners were"
    return f"{report.assigned:,} {learners} drawn: {arms}."


def _nobody(report: Report) -> str:
    if not report.facts.is_running:
        return "No learner was drawn before the experiment was stopped."
    if report.facts.can_draw:
        return NOBODY_YET
    # There is no reason to give if it lies in courses that the reader may not see.
    return " ".join(hindrances(report.facts.courses)) or NOBODY_YET


def cautions(report: Report) -> list[str]:
    """Return the sentences to read before relying on the numbers, apart from the arm sizes."""
    found = [
        *_of_sections(report),
        *adapting_texts(report),
        *_of_courses(report),
        *_of_feeds(report),
        *_of_waiting(report),
        *_of_running(report),
    ]
    if report.is_withheld:
        return found
    if len(report.rows) > 1 and report.facts.is_corrected:
        found.append(_CORRECTED)
    elif len(report.rows) > 1:
        found.append(
            f"{len(report.rows)} comparisons are shown, and none is corrected for their number. "
            "Even where the arms do not differ, each shows a difference once in "
            f"{_once_in(report)}."
        )
    return found


def _of_sections(report: Report) -> Iterator[str]:
    if report.facts.draws_sections:
        numbers = ", ".join(f"{arm.sections:,} into {arm.name}" for arm in report.arms)
        yield (
            f"Whole sections were drawn: {numbers}. Learners of one section are alike, so the "
            "number of sections decides how sure the results are, not the number of learners. "
            "What would compare single learners is left out: who left, whom a message reached, "
            "parts, and the difference over time."
        )
        if report.blocks:
            yield drawn_text(report.blocks)
        yield from _section_sizes(report)


def _section_sizes(report: Report) -> Iterator[str]:
    """Yield how many learners are counted in the sections of each arm; nothing if none is."""
    found = []
    for arm in report.arms:
        parts = report.primary.by_part.values()
        sizes = sorted(part[arm.key].n for part in parts if arm.key in part)
        if sizes:
            least = FEW if is_small(sizes[0]) else f"{sizes[0]:,}"
            found.append(f"{least} to {sizes[-1]:,} (median {median(sizes):g}) in {arm.name}")
    if found:
        yield f"Learners counted in a section: {', '.join(found)}."


def _of_courses(report: Report) -> Iterator[str]:
    if report.assigned and len(report.facts.courses) > 1:
        yield (
            "The learners come from more than one course. A learner of two of these courses is "
            "drawn in each of them, and counts twice."
        )


def _of_feeds(report: Report) -> Iterator[str]:
    for course in report.facts.courses:
        since = course.held_since
        if since is None or since > report.facts.as_of:
            continue
        name = f"of {course.title}" if course.is_seen else "of a course"
        yield (
            f"The events {name} have not come as usual since "
            f"{instant_text(since, zone=course.time_zone)}. Learners whose days of observation "
            "were not over by then are not counted until the events come."
        )


def _of_waiting(report: Report) -> Iterator[str]:
    waits = max((result.waits for result in report.results), default=0)
    if not waits:
        return
    # A number would tell how few are counted where that is hidden.
    is_hiding = any(result.is_hiding for result in report.results)
    some = "Some" if is_hiding else f"{waits:,} of {report.assigned:,}"
    yield f"{some} learners are not counted yet. {_until(report)}"


def _until(report: Report) -> str:
    """Return when the waiting learners are counted, or why they never are."""
    if report.facts.is_over:
        return "The clock stopped before their days of observation were over."
    why = "A learner counts once the days of observation after the draw are over"
    if report.all_counted_at is None:
        return f"{why}."
    return f"{why}, the last one on {instant_text(report.all_counted_at, zone=report.facts.zone)}."


def _of_running(report: Report) -> Iterator[str]:
    if report.facts.is_running and report.assigned:
        yield from hindrances(report.facts.courses)
    # If all clocks are stopped, the report never changes.
    if report.facts.is_running and not report.facts.is_over:
        yield (
            "The experiment is still running. If you look often and stop at the first difference, "
            "you find a difference too often. Fix the end of the experiment beforehand."
        )


def hours_text(window: timedelta) -> str:
    """Return `7 times 24 hours`. Windows are exact: "7 days" could include a clock change."""
    hours = window / timedelta(hours=1)
    days, rest = divmod(hours, 24)
    if rest or days < 2:
        return f"{hours:g} hours"
    return f"{days:g} times 24 hours"


def number_rows(report: Report) -> Iterator[NumberRow]:
    """Yield the table of numbers, each metric's control first."""
    for result in report.results:
        by_arm = {row.arm.key: row for row in result.rows}
        arms = sorted(report.arms, key=lambda arm: not arm.is_control)
        for place, arm in enumerate(arms):
            span = 0 if place else len(arms)
            yield _number_row(report, result, arm, (by_arm.get(arm.key), span))


def no_relative_texts(report: Report) -> Iterator[str]:
    """Yield for each reason which outcomes have a difference and no relative one."""
    found: dict[str, list[str]] = {}
    for row in report.rows:
        comparison = row.comparison
        is_shown = comparison.difference.has_value and not report.withheld_reason(row.arm)
        if is_shown and not isfinite(comparison.relative.value):
            found.setdefault(comparison.relative.reason, []).append(f"“{row.metric.name}”")
    for reason, names in found.items():
        of_all = (
            "" if len(names) == len(report.rows) else f" of {listed(list(dict.fromkeys(names)))}"
        )
        yield f"No relative difference{of_all}: {reason}."


def listed(words: list[str]) -> str:
    """Return the words as a list in a sentence: `one, two and three`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def draw_rows(report: Report) -> Iterator[DrawRow]:
    """Yield the intended and the actual size of each arm."""
    weights = sum(arm.weight for arm in report.arms)
    for arm, expected in zip(report.arms, report.balance.expected, strict=True):
        share = f"{arm.weight / weights:.1%}"
        sections = f"{arm.sections:,}" if report.facts.draws_sections else ""
        yield DrawRow(_arm_name(arm), share, f"{arm.assigned:,}", f"{expected:,.1f}", sections)


def csv_rows(report: Report) -> Iterator[list[str]]:
    """Yield the file's rows, one per metric and arm, under CSV_COLUMNS. A nan is empty."""
    for result in report.results:
        by_arm = {row.arm.key: row for row in result.rows}
        for arm in report.arms:
            yield [csv_cell(value) for value in _csv_values(report, result, arm, by_arm)]


def _number_row(
    report: Report, result: MetricResult, arm: ArmFacts, place: tuple[Row | None, int]
) -> NumberRow:
    row, span = place
    found, figures = result.observed[arm.key], result.rows[0].figures
    cells = NumberRow(
        metric=result.metric.name,
        span=span,
        arm=_arm_name(arm),
        counted=FEW if result.hides(arm) else f"{found.n:,}",
        total=MISSING if result.hides(arm) else f"{found.tally[1]:,}",
        level=figures.level(result.level(arm)),
    )
    if row is None or report.withheld_reason(arm):
        return cells
    is_quoted = quoted(report, row) is Quoted.FIXED
    words: dict[str, Any] = {"is_quoted": is_quoted}
    if row.comparison.difference.has_interval and is_by_the_draw(report, row):
        # What decides stands in the table, and not what is not to be quoted.
        plain, corrected = map(_plain_p, p_of_the_draw(report, row))
        words |= {"p_value": f"{plain} (draw)", "corrected": f"{corrected} (draw)"}
    return replace(_with_difference(cells, row, figures), **words)


def _with_difference(cells: NumberRow, row: Row, figures: Figures) -> NumberRow:
    difference, relative = row.comparison.difference, row.comparison.relative
    known = difference.has_interval
    words = {
        "difference": figures.change_with_unit(figures.apart(row.comparison)),
        "interval": figures.interval(difference),
        "relative": percent_change(relative.value),
        "p_value": _plain_p(difference.p_value),
        "corrected": _plain_p(row.corrected_p),
    }
    if not known:
        words |= {"interval": MISSING, "p_value": MISSING, "corrected": MISSING}
    return NumberRow(**{**vars(cells), **words, "reason": difference.reason})


def _plain_p(p_value: float) -> str:
    return p_text(p_value).removeprefix("p ").removeprefix("= ")


def _arm_name(arm: ArmFacts) -> str:
    says_it = "control" in arm.name.lower()
    return f"{arm.name} (control)" if arm.is_control and not says_it else arm.name


def _csv_values(
    report: Report, result: MetricResult, arm: ArmFacts, rows: Mapping[str, Row]
) -> Iterator[object]:
    found, metric, row = result.observed[arm.key], result.metric, rows.get(arm.key)
    yield from (report.facts.key, report.facts.as_of.isoformat(), metric.key, metric.family.name)
    is_hidden = result.hides(arm)
    counts = ("", "") if is_hidden else (found.n, result.waiting[arm.key])
    yield from (arm.key, arm.is_control, arm.assigned, *counts)
    # A rate is successes / counted and a mean is total / counted. Only the matching tally is
    # filled in, so that nobody divides the wrong one.
    tally = {} if is_hidden else dict([found.tally])
    yield from (tally.get(name, "") for name in TALLIES)
    yield result.level(arm)
    if row is None:
        yield from [*[""] * 11, REASON if is_hidden else ""]
        return
    withheld = report.staying.reason_of(arm) if report.staying else ""
    if withheld:
        yield from (*[""] * 10, WITHHELD, withheld)
        return
    difference, relative = row.comparison.difference, row.comparison.relative
    yield from (difference.value, difference.low, difference.high)
    yield from (relative.value, relative.low, relative.high)
    yield from (difference.p_value, difference.level, difference.method, difference.test)
    yield from (row.verdict.finding.value, difference.reason)


def csv_cell(value: object) -> str:
    """Return the value as a cell of a file: floats by repr, a nan empty."""
    if isinstance(value, float):
        return repr(value) if isfinite(value) else ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _once_in(report: Report) -> str:
    return f"{1 / (1 - report.facts.level):.0f} ({level_text(report.facts.level)} level)"
