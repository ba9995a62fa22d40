"""What a report advises: keep, stop, cannot tell yet, or broken. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from common.dates import instant_text
from experiments.reporting.answer import Judgement, judge
from experiments.reporting.guardrails import GuardrailRow
from experiments.reporting.report import Report, Row

# With fewer learners in an arm, only a huge difference can be told from chance.
_TOO_FEW = 12


class Decision(StrEnum):
    """What to do now."""

    KEEP = "keep"
    STOP = "stop"
    WAIT = "cannot tell yet"
    BROKEN = "broken"


@dataclass(frozen=True)
class Advice:
    """What to do now, and why, in one sentence or two."""

    decision: Decision
    text: str


def advice(report: Report) -> Advice | None:
    """Return what to do; None while nothing can be compared.

    Harm comes first: a guardrail that got worse outweighs a better primary outcome.
    """
    if report.is_mismatch:
        return Advice(
            Decision.BROKEN,
            "Do not use these numbers. Find out what keeps learners out of an arm or out of the "
            "count, and draw again with a new seed.",
        )
    if report.is_young or not report.assigned:
        return None
    judged = [(row, judge(report, row)) for row in report.primary.rows]
    if any(judgement is Judgement.WITHHELD for _, judgement in judged):
        return Advice(
            Decision.BROKEN,
            "The arms lost learners differently. Find out why they left before you compare "
            "those who stayed.",
        )
    return _harm(report) or _benefit(report, judged) or _undecided(report, judged)


def _harm(report: Report) -> Advice | None:
    harmful = [row for row in report.guardrails if row.is_harmful]
    beyond = [row for row in harmful if row.is_beyond_margin]
    if beyond:
        return Advice(Decision.STOP, f"Stop it: {_guards(beyond)} got worse than is accepted.")
    worse = [row for row in report.primary.rows if judge(report, row) is Judgement.WORSE]
    if worse and len(worse) == len(report.primary.rows):
        return Advice(Decision.STOP, f"Stop it: learners in {_arms(worse)} do worse.")
    if harmful:
        return Advice(
            Decision.WAIT,
            f"Weigh it: {_guards(harmful)} got worse, and it is not known whether by more than is "
            "accepted.",
        )
    return None


def _guards(rows: list[GuardrailRow]) -> str:
    return ", ".join(f"“{row.metric.name}” in “{row.arm.name}”" for row in rows)


def _benefit(report: Report, judged: list[tuple[Row, Judgement]]) -> Advice | None:
    better = [row for row, judgement in judged if judgement is Judgement.BETTER]
    if not better:
        return None
    best = max(better, key=lambda row: abs(row.lift))
    text = f"Keep it: give “{best.arm.name}” to everybody."
    if len(better) > 1:
        text = f"{text} Learners in {_arms(better)} all did better, and in it most."
    return Advice(Decision.KEEP, text)


def _undecided(report: Report, judged: list[tuple[Row, Judgement]]) -> Advice:
    if report.is_open:
        return Advice(Decision.WAIT, f"Leave it running. {_when(report)}".strip())
    smallest = report.facts.smallest_lift
    rows = [row for row, _ in judged if row.comparison.difference.has_interval]
    if smallest and rows and all(_is_small(row, smallest) for row in rows):
        return Advice(
            Decision.STOP,
            f"Drop it: any difference is smaller than {rows[0].figures.size(smallest)}, the "
            "smallest that was to matter.",
        )
    fewest = min(each.n for each in report.primary.observed.values())
    if fewest < _TOO_FEW:
        return Advice(
            Decision.WAIT,
            f"There are too few learners for an answer: an arm has only {fewest:,}. Repeat it with "
            "more learners.",
        )
    return Advice(
        Decision.WAIT,
        "The experiment has ended without an answer. Whatever is simpler may stay; a new "
        "experiment would need more learners.",
    )


def _when(report: Report) -> str:
    looking = report.looking
    if looking is None or looking.next_at is None:
        return ""
    at = instant_text(looking.next_at, zone=report.facts.zone)
    return f"The next planned look is on {at}."


def _is_small(row: Row, smallest: float) -> bool:
    limits = row.low, row.high
    return all(isfinite(each) and abs(each) < smallest for each in limits)


def _arms(rows: list[Row]) -> str:
    return " and ".join(f"“{row.arm.name}”" for row in rows)
