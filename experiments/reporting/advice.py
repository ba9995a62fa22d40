"""What a report advises: keep, stop, cannot tell yet, or broken. Pure."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from common.dates import instant_text
from experiments.reporting.answer import (
    TOO_FEW,
    Judgement,
    answer_line,
    is_within_smallest,
    judge,
    open_harms,
)
from experiments.reporting.figures import p_text
from experiments.reporting.guardrails import GuardrailRow, levels_text, open_harm_text
from experiments.reporting.report import Report, Row
from experiments.reporting.sensitivity import needed_text
from experiments.reporting.small_cells import FEW
from experiments.stats.balance import Balance


class Decision(StrEnum):
    """What to do now."""

    KEEP = "keep"
    WATCH = "keep, but watch"
    STOP = "stop"
    WAIT = "cannot tell yet"
    BROKEN = "broken"


@dataclass(frozen=True)
class Advice:
    """What to do now, and why, in one sentence or two."""

    decision: Decision
    text: str
    # The numbers are the last ones, so nothing is decided later.
    is_final: bool = field(default=False, compare=False)

    @property
    def badge(self) -> str:
        """Return the decision in words."""
        return self.decision.value.removesuffix(" yet") if self.is_final else self.decision.value


def advice(report: Report) -> Advice | None:
    """Return what to do; None while nothing can be compared.

    Harm comes first: a guardrail that got worse outweighs a better primary outcome, and also
    numbers that cannot be compared.
    """
    found = _advice(report)
    return found and replace(found, is_final=report.is_final)


def line_of(report: Report) -> str:
    """Return the answer for a list: what was found, and what to do now."""
    found = advice(report)
    return answer_line(report) if found is None else f"{answer_line(report)} {found.text}"


def _advice(report: Report) -> Advice | None:
    if report.is_mismatch:
        return Advice(
            Decision.BROKEN,
            "Do not use these numbers. Find out what keeps learners out of an arm or out of the "
            "count, and draw again with a new seed.",
        )
    if report.is_young or not report.assigned:
        return _hidden(report)
    judged = [(row, judge(report, row)) for row in report.primary.rows]
    suspect = _suspect(report)
    found = (
        _harm(report)
        or _withheld(judged)
        or suspect
        or _doubtful_harm(report)
        or _benefit(report, judged)
        or _undecided(report, judged)
    )
    if suspect is not None and found.decision is Decision.STOP:
        return Advice(found.decision, f"{found.text} {suspect.text}")
    return found if found is suspect else replace(found, text=f"{found.text}{_hint_text(report)}")


def _hidden(report: Report) -> Advice | None:
    """Return what to do if the experiment ends with numbers that are hidden."""
    if report.is_open or not report.primary.is_hiding:
        return None
    return Advice(
        Decision.WAIT,
        f"Repeat it with more learners: {FEW} of an arm are counted, too few for an answer.",
    )


def _withheld(judged: list[tuple[Row, Judgement]]) -> Advice | None:
    if not any(judgement is Judgement.WITHHELD for _, judgement in judged):
        return None
    return Advice(
        Decision.BROKEN,
        "Do not compare the arms. Find out first why more learners left one arm than the other.",
    )


def _suspect(report: Report) -> Advice | None:
    """Return what to check if arm sizes are a surprise, though no proof of a fault."""
    names = [name for name, each in report.balances if each.state is Balance.SURPRISE]
    if not names:
        return None
    sizes = " and ".join(f"{arm.assigned:,} in “{arm.name}”" for arm in report.arms)
    return Advice(
        Decision.WAIT,
        f"Check first whether learners are missing: {sizes} are hardly a fair draw.",
    )


def _harm(report: Report) -> Advice | None:
    beyond = [row for row in report.guardrails if row.is_harmful and row.is_beyond_margin]
    if beyond:
        changes = "; ".join(_change(row, "") for row in beyond)
        return Advice(Decision.STOP, f"Stop {_guarded(beyond)}: {changes}.")
    worse = [row for row in report.primary.rows if judge(report, row) is Judgement.WORSE]
    if worse and len(worse) == len(report.primary.rows):
        return Advice(Decision.STOP, f"Stop {_arms(worse)}: its learners do worse.")
    return None


def _doubtful_harm(report: Report) -> Advice | None:
    harmful = [row for row in report.guardrails if row.is_harmful]
    if not harmful:
        return None
    changes = "; ".join(_change(row, "perhaps ") for row in harmful)
    is_better = any(judge(report, row) is Judgement.BETTER for row in report.primary.rows)
    if is_better:
        start = "Do not give it to everybody before benefit and harm are weighed"
        return Advice(Decision.WAIT, f"{start}: {changes}.")
    if report.is_open:
        # A benefit may still show, and harm is not corrected for looking often.
        start = "Do not give it to everybody: so far no benefit is shown, but harm is"
        return Advice(Decision.WAIT, f"{start}: {changes}.")
    start = f"Stop {_guarded(harmful)}: no benefit is shown, but harm is"
    return Advice(Decision.STOP, f"{start}: {changes}.")


def _hint_text(report: Report) -> str:
    """Return what shows in a guardrail alone, and how unsure it is; empty if there is none."""
    hints, number = [row for row in report.guardrails if row.is_hint], len(report.guardrails)
    if not hints:
        return ""
    found = "; ".join(
        f"in “{row.arm.name}”, {_guard_levels(row)}: {p_text(row.guardrail.difference.p_value)} "
        f"alone, {p_text(row.corrected_p)} corrected for all {number:,}"
        for row in hints
    )
    start = "One" if len(hints) == 1 else f"{len(hints):,}"
    gives = "gives a hint" if len(hints) == 1 else "give hints"
    return f" {start} of {number:,} checks of harm {gives}, but no proof: {found}."


def _guarded(rows: list[GuardrailRow]) -> str:
    return " and ".join(dict.fromkeys(f"“{row.arm.name}”" for row in rows))


def _change(row: GuardrailRow, how_sure: str) -> str:
    return (
        f"in “{row.arm.name}”, {_guard_levels(row)}, {how_sure}by more than the "
        f"{row.figures.size(row.guardrail.margin.size)} that are accepted"
    )


def _guard_levels(row: GuardrailRow) -> str:
    return levels_text(
        row.metric,
        row.figures,
        (row.arm_level, row.arm_observed),
        (row.control_level, row.control_observed),
        is_weighted=row.is_weighted,
    )


def _benefit(report: Report, judged: list[tuple[Row, Judgement]]) -> Advice | None:
    better = [row for row, judgement in judged if judgement is Judgement.BETTER]
    if not better:
        return None
    best = max(better, key=lambda row: abs(row.lift))
    stop = "stop the experiment and " if report.is_open else ""
    text = f"Keep “{best.arm.name}”: {stop}give it to everybody."
    if len(better) > 1:
        text = f"{text} Learners in {_arms(better)} all did better, and in it most."
    harms = [open_harm_text(row) for row in open_harms(report, best)]
    if not harms:
        return Advice(Decision.KEEP, text)
    return Advice(
        Decision.WATCH,
        f"{text} But watch what may get worse, as harm is not ruled out: {'; '.join(harms)}.",
    )


def _undecided(report: Report, judged: list[tuple[Row, Judgement]]) -> Advice:
    if all(judgement is Judgement.NOT_COMPARED for _, judgement in judged):
        # More learners would not change it.
        return Advice(
            Decision.WAIT,
            "Plan a new experiment: this one draws adaptively, and its primary outcome is not a "
            "share of learners, so it will never be compared.",
        )
    if report.is_open:
        return Advice(Decision.WAIT, f"Leave it running. {_when(report)}".strip())
    smallest = report.facts.smallest_lift
    compared = [row for row, _ in judged]
    rows = [row for row in compared if row.comparison.difference.has_interval]
    if smallest and rows and all(is_within_smallest(report, row) for row in rows):
        return Advice(
            Decision.STOP,
            f"Do without: any difference is smaller than {rows[0].figures.size(smallest)}, the "
            "smallest that was to matter.",
        )
    fewest = min(each.n for each in report.primary.observed.values())
    if fewest < TOO_FEW:
        return Advice(
            Decision.WAIT,
            f"Repeat it with more learners: only {fewest:,} of an arm are counted, too few for an "
            f"answer. A new experiment {needed_text(report, compared[0])}.",
        )
    return Advice(
        Decision.WAIT,
        "Stay with what is simpler: the experiment has ended without an answer. A new one "
        f"{needed_text(report, compared[0])}.{_open_harm(report)}{_hints(report)}",
    )


def _open_harm(report: Report) -> str:
    """Return that harm is not ruled out either; empty if it is, or if nobody did any of it."""
    if not any(row.is_open and not row.is_unseen for row in report.guardrails):
        return ""
    return " Harm is not ruled out either: see “What must not get worse”."


def _hints(report: Report) -> str:
    """Return why a difference in another outcome does not decide; empty if there is none."""
    found = (Judgement.BETTER, Judgement.WORSE)
    if not any(judge(report, row) in found for each in report.results[1:] for row in each.rows):
        return ""
    return (
        f" The plan named one outcome to decide by: “{report.primary.metric.name}”. The others are "
        "hints for the next experiment."
    )


def _when(report: Report) -> str:
    looking, facts = report.looking, report.facts
    if looking is not None and looking.next_at is not None:
        at = instant_text(looking.next_at, zone=facts.zone)
        return f"The next planned look is on {at}."
    if facts.ends_at is None or facts.ends_at <= facts.as_of:
        return ""
    return f"It is to end on {instant_text(facts.ends_at, zone=facts.zone)}."


def _arms(rows: list[Row]) -> str:
    return " and ".join(f"“{row.arm.name}”" for row in rows)
