"""A report's words and cells for a page, and its rows for a file. Pure: no markup."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite

from experiments.metrics.outcomes import TALLIES
from experiments.reporting.figures import MISSING, Figures, level_text, p_text, percent_change
from experiments.reporting.report import (
    ArmFacts,
    CourseFacts,
    DeliveryCounts,
    MetricResult,
    Report,
    Row,
)
from experiments.stats.estimate import Estimate

CSV_COLUMNS = (
    "experiment", "as_of", "metric", "kind", "arm", "is_control", "assigned", "counted", "waiting",
    *TALLIES, "rate_or_mean", "lift", "low", "high", "relative_lift", "relative_low",
    "relative_high", "p_value", "interval_level", "method", "test", "finding", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class NumberRow:
    """The cells of one arm in one metric; a control has no difference from itself."""

    metric: str
    # How many rows the metric's name stands for; 0 where an earlier row shows it.
    span: int
    arm: str
    counted: str
    total: str
    level: str
    difference: str = ""
    interval: str = ""
    relative: str = ""
    p_value: str = ""
    reason: str = ""


@dataclass(frozen=True)
class DrawRow:
    """The cells of one arm's size."""

    arm: str
    share: str
    assigned: str
    expected: str


def hindrances(courses: Sequence[CourseFacts]) -> list[str]:
    """Return from which courses nobody is drawn and why, a sentence each."""
    if not courses:
        return ["The playbook belongs to no course: nobody can be drawn."]
    return [_hindrance(course) for course in courses if not course.draws]


def _hindrance(course: CourseFacts) -> str:
    if course.stopped_at is None:
        return f"The course {course.title} is not live: nobody is drawn from it until it is."
    stopped = f"{course.stopped_at.day} {course.stopped_at:%B %Y, %H:%M} UTC"
    return (
        f"The course {course.title} is simulated and its clock stands still at {stopped}: "
        "nobody will be drawn from then on."
    )


def draw_summary(report: Report) -> str:
    """Return who was drawn into what, or why nobody was, in a sentence."""
    if not report.assigned:
        return _nobody(report)
    arms = ", ".join(f"{arm.assigned:,} into {arm.name}" for arm in report.arms)
    learners = "learner was" if report.assigned == 1 else "learners were"
    return f"{report.assigned:,} {learners} drawn: {arms}."


def _nobody(report: Report) -> str:
    if not report.facts.is_running:
        return "Nobody was drawn before the experiment was stopped."
    if report.facts.can_draw:
        return "Nobody has been drawn yet."
    return " ".join(hindrances(report.facts.courses))


def cautions(report: Report) -> list[str]:
    """Return what a reader must know before believing the numbers, beside the arm sizes."""
    found = [*_of_waiting(report), *_of_running(report)]
    if len(report.rows) > 1:
        found.append(
            f"{len(report.rows)} comparisons are shown, none corrected for their number. Where "
            f"nothing works at all, each still shows a difference once in {_once_in(report)}."
        )
    return found


def _of_waiting(report: Report) -> Iterator[str]:
    waits = max((result.waits for result in report.results), default=0)
    if not waits:
        return
    why = "they count once the days after their draw in which they are watched are over."
    if report.facts.is_over:
        why = "the clock stands still before the days in which they are watched are over."
    yield f"{waits:,} of {report.assigned:,} learners wait: {why}"


def _of_running(report: Report) -> Iterator[str]:
    if report.facts.is_running and report.assigned:
        yield from hindrances(report.facts.courses)
    # Where all clocks stand still, who looks again sees the same.
    if report.facts.is_running and not report.facts.is_over:
        yield (
            "The experiment is still running. A reader who looks often and stops at the first "
            "difference finds one too often: fix the end beforehand."
        )


def methods(report: Report) -> list[str]:
    """Return how long each metric counts and by what it was compared, a sentence each."""
    return [_method(result) for result in report.results]


def _method(result: MetricResult) -> str:
    differences = [row.comparison.difference for row in result.rows]
    ways = sorted({_way(each) for each in differences if each.has_interval})
    window = f"counted for exactly {hours_text(result.metric.window)}"
    return f"{result.metric.name}: {window}. {' '.join(ways) or 'Not compared yet.'}"


def _way(difference: Estimate) -> str:
    if difference.test == difference.method:
        return f"Test and interval: {difference.test}."
    return f"Test: {difference.test}; interval: {difference.method}."


def hours_text(window: timedelta) -> str:
    """Return `7 times 24 hours`: in calendar days a clock change would make it longer for some."""
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
            yield _number_row(result, arm, by_arm.get(arm.key), span)


def draw_rows(report: Report) -> Iterator[DrawRow]:
    """Yield how large each arm was meant to be and came out."""
    weights = sum(arm.weight for arm in report.arms)
    for arm, expected in zip(report.arms, report.balance.expected, strict=True):
        share = f"{arm.weight / weights:.1%}"
        yield DrawRow(_arm_name(arm), share, f"{arm.assigned:,}", f"{expected:,.1f}")


def delivery_rows(
    report: Report, *, words: Mapping[str, str]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return, an outcome a row, its words and each arm's deliveries and learners.

    Outcomes that occurred in no arm are left out.
    """
    return [
        (words[outcome], [_delivery_cells(arm.deliveries.get(outcome)) for arm in report.arms])
        for outcome in words
        if any(outcome in arm.deliveries for arm in report.arms)
    ]


def ghosts_note(report: Report) -> str:
    """Return why a control has more ghosts a learner than another arm messages; empty if not so."""
    ghosts = max(_a_learner(arm, "ghost") for arm in report.arms if arm.is_control)
    messages = [_a_learner(arm, "handed_off") for arm in report.arms if not arm.is_control]
    if not report.assigned or ghosts <= min(messages):
        return ""
    return (
        "A control learner has more ghosts, on average, than a learner of another arm has "
        "messages. That alone is no fault: learners who do what a message asks for leave the "
        "segment, which usually ends their cadence, while the ghosts of controls who stay go on."
    )


def _a_learner(arm: ArmFacts, outcome: str) -> float:
    return arm.deliveries.get(outcome, DeliveryCounts()).deliveries / max(arm.assigned, 1)


def csv_rows(report: Report) -> Iterator[list[str]]:
    """Yield the file's rows, an arm in a metric each, under CSV_COLUMNS; nan is empty."""
    for result in report.results:
        by_arm = {row.arm.key: row for row in result.rows}
        for arm in report.arms:
            yield [_csv_cell(value) for value in _csv_values(report, result, arm, by_arm)]


def _number_row(result: MetricResult, arm: ArmFacts, row: Row | None, span: int) -> NumberRow:
    found, figures = result.observed[arm.key], result.rows[0].figures
    cells = NumberRow(
        metric=result.metric.name,
        span=span,
        arm=_arm_name(arm),
        counted=f"{found.n:,}",
        total=f"{found.tally[1]:,}",
        level=figures.level(result.level(arm)),
    )
    return _with_difference(cells, row, figures) if row else cells


def _with_difference(cells: NumberRow, row: Row, figures: Figures) -> NumberRow:
    difference, relative = row.comparison.difference, row.comparison.relative
    known = difference.has_interval
    words = {
        "difference": figures.change_with_unit(figures.apart(row.comparison)),
        "interval": figures.interval(difference),
        "relative": percent_change(relative.value),
        "p_value": p_text(difference.p_value).removeprefix("p ").removeprefix("= "),
    }
    if not known:
        words |= {"interval": MISSING, "p_value": MISSING}
    return NumberRow(**{**vars(cells), **words, "reason": difference.reason})


def _arm_name(arm: ArmFacts) -> str:
    says_it = "control" in arm.name.lower()
    return f"{arm.name} (control)" if arm.is_control and not says_it else arm.name


def _delivery_cells(found: DeliveryCounts | None) -> tuple[str, str]:
    return (f"{found.deliveries:,}", f"{found.learners:,}") if found else ("0", "0")


def _csv_values(
    report: Report, result: MetricResult, arm: ArmFacts, rows: Mapping[str, Row]
) -> Iterator[object]:
    found, metric, row = result.observed[arm.key], result.metric, rows.get(arm.key)
    yield from (report.facts.key, report.facts.as_of.isoformat(), metric.key, metric.family.name)
    yield from (arm.key, arm.is_control, arm.assigned, found.n, result.waiting[arm.key])
    # A rate is successes by counted, a mean total by counted. The other number would invite to
    # divide by it.
    tally = dict([found.tally])
    yield from (tally.get(name, "") for name in TALLIES)
    yield result.level(arm)
    if row is None:
        yield from [""] * 12
        return
    difference, relative = row.comparison.difference, row.comparison.relative
    yield from (difference.value, difference.low, difference.high)
    yield from (relative.value, relative.low, relative.high)
    yield from (difference.p_value, difference.level, difference.method, difference.test)
    yield from (row.verdict.finding.value, difference.reason)


def _csv_cell(value: object) -> str:
    if isinstance(value, float):
        return repr(value) if isfinite(value) else ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _once_in(report: Report) -> str:
    return f"{1 / (1 - report.facts.level):.0f} ({level_text(report.facts.level)} level)"
