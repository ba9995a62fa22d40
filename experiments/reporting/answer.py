"""The answer of a report in two sentences that a reader can repeat correctly. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from common.dates import instant_text
from experiments.metrics.definitions import HIGHER
from experiments.reporting.figures import level_text, p_text
from experiments.reporting.guardrails import GuardrailRow, levels_text
from experiments.reporting.report import Report, Row
from experiments.reporting.sensitivity import sensitivity_text
from experiments.reporting.small_cells import FEW
from experiments.reporting.text import draw_summary
from experiments.reporting.verdict import Finding
from experiments.stats.adaptive.comparison import NOT_BY_PERIOD

# With fewer learners in an arm, only a huge difference can be told from chance.
TOO_FEW = 12


class Judgement(StrEnum):
    """What a finding means for the course."""

    BETTER = "better"
    WORSE = "worse"
    EARLY = "too early to tell"
    HINT = "no difference after correction"
    NOT_FOUND = "no difference found"
    NOT_CLEAR = "not clear"
    TOO_FEW = "too few learners"
    UNKNOWN = "not known yet"
    NOT_COMPARED = "not compared"
    WITHHELD = "withheld"
    UNTRUSTED = "cannot be trusted"


_JUDGEMENTS = {
    Finding.HINT: Judgement.HINT,
    Finding.DRAWN: Judgement.NOT_CLEAR,
    Finding.NOT_FOUND: Judgement.NOT_FOUND,
    Finding.UNKNOWN: Judgement.UNKNOWN,
}


@dataclass(frozen=True)
class Answer:
    """A judgement, the sentence that says what was found, and the one that says how sure it is."""

    judgement: Judgement
    found: str
    how_sure: str


def judge(report: Report, row: Row) -> Judgement:
    """Return whether the arm did better or worse than the control, if this is known."""
    if report.is_mismatch:
        return Judgement.UNTRUSTED
    if is_withheld(report, row):
        return Judgement.WITHHELD
    finding = row.verdict.finding
    if finding is Finding.NOT_FOUND and _counts_too_few(report, row):
        return Judgement.TOO_FEW
    if finding is Finding.NOT_FOUND and not is_within_smallest(report, row):
        # "No difference" would be read as "it does nothing".
        return Judgement.NOT_CLEAR
    if row.comparison.difference.reason == NOT_BY_PERIOD:
        # More learners would not change it.
        return Judgement.NOT_COMPARED
    if finding in _JUDGEMENTS:
        return _JUDGEMENTS[finding]
    if _is_early(report, row):
        return Judgement.EARLY
    is_higher = finding is Finding.HIGHER
    return Judgement.BETTER if is_higher is (row.metric.better == HIGHER) else Judgement.WORSE


def is_within_smallest(report: Report, row: Row) -> bool:
    """Return whether the whole interval lies within the smallest difference that was to matter.

    The plan names it for the primary outcome only.
    """
    smallest = report.facts.smallest_lift
    if not smallest or row.metric != report.primary.metric:
        return False
    return all(isfinite(each) and abs(each) < smallest for each in (row.low, row.high))


def _counts_too_few(report: Report, row: Row) -> bool:
    result = next(each for each in report.results if each.metric == row.metric)
    return min(result.observed[arm.key].n for arm in (row.arm, row.control)) < TOO_FEW


def judgement_text(report: Report, judgement: Judgement) -> str:
    """Return the judgement in words. Nothing is known “yet” once the numbers are the last ones."""
    return judgement.value.removesuffix(" yet") if report.is_final else judgement.value


def reason_text(report: Report, reason: str) -> str:
    """Return why something is not known. “Not counted yet” becomes “not counted” at the end."""
    return reason.replace(" is counted yet", " is counted") if report.is_final else reason


def is_withheld(report: Report, row: Row) -> bool:
    """Return whether no comparison of the arm is given, as the report says why."""
    return bool(withheld_reason(report, row))


def withheld_reason(report: Report, row: Row) -> str:
    """Return why no comparison of the arm is given; empty if it is given."""
    return report.withheld_reason(row.arm)


def _is_early(report: Report, row: Row) -> bool:
    """Return whether a difference of the primary outcome may be one of many looks."""
    if not report.is_open or row.metric != report.primary.metric:
        return False
    if report.looking is None:
        # An adaptive draw is judged at its end.
        return report.facts.is_adaptive
    return not report.looking.is_final and not report.looking.stands(row.arm.key)


def answers(report: Report) -> list[Answer]:
    """Return the answers on the primary outcome, one per arm that is compared with the control.

    Return none before the first result, and if the arm sizes cannot be trusted.
    """
    if report.is_mismatch or report.is_young:
        return []
    return [_answer(report, row, report.is_open) for row in report.primary.rows]


def answer_line(report: Report) -> str:
    """Return the answer for a list: what was found, or when the first result comes."""
    if not report.assigned:
        return draw_summary(report)
    if report.is_young:
        return first_result_text(report)
    if report.is_mismatch:
        yet = "" if report.is_final else " yet"
        return f"Do not trust its numbers{yet}: the arms are not as large as intended."
    return " ".join(each.found for each in answers(report))


def first_result_text(report: Report) -> str:
    """Return when the first result comes, or why none comes."""
    at = report.first_result_at
    if any(result.is_hiding for result in report.results):
        return (
            f"An arm has {FEW} counted learners. Its numbers are hidden, because they would tell "
            "what single learners did."
        )
    if at is None:
        empty = " and ".join(arm.name for arm in report.arms if not arm.assigned)
        return f"Nothing can be compared: no learner was drawn into {empty}."
    if report.facts.is_over:
        return "There is no result: the clock stopped before the days of observation were over."
    return f"The first result comes on {instant_text(at, zone=report.facts.zone)}."


def interval_words(report: Report, row: Row) -> str:
    """Return the interval of a comparison in words, and what it rules out."""
    difference, figures = row.comparison.difference, row.figures
    if not difference.has_interval:
        return f"There is no interval: {reason_text(report, difference.reason)}."
    level = level_text(difference.level)
    unit = row.figures.unit.points
    return (
        f"The {level} interval goes from {figures.interval(difference)}{unit} "
        f"({p_text(difference.p_value)}). In {level} of such experiments the interval holds the "
        f"true difference. {_meaning(row)} {difference.note}".rstrip()
    )


def _meaning(row: Row) -> str:
    if row.verdict.hint:
        return f"It does not hold zero. {row.verdict.hint}"
    if row.comparison.difference.excludes_zero:
        return "It does not hold zero: chance alone would rarely make so large a difference."
    return "It holds zero, so the arms may not differ at all."


def _answer(report: Report, row: Row, so_far: bool) -> Answer:
    judgement = judge(report, row)
    found = _FOUND[judgement].format(arm=row.arm.name, others=_others(row))
    sentence = f"{found}{_numbers(report, row, judgement)}."
    if so_far:
        sentence = f"So far, {sentence}"
    how_sure = _how_sure(report, row, judgement)
    if judgement is Judgement.BETTER:
        how_sure = f"{how_sure}{_harm_text(report, row)}"
    return Answer(judgement, _capital(sentence), how_sure)


def _harm_text(report: Report, row: Row) -> str:
    """Return in which guardrails of the arm harm is not ruled out, and why, as sentences."""
    shown = open_harms(report, row)
    own = (each for each in report.guardrails if each.arm.key == row.arm.key)
    unseen = [each for each in own if each.is_unseen]
    text = f" Harm is not ruled out in {_names(shown)}." if shown else ""
    if not unseen:
        return text
    return (
        f"{text} So few learners do not rule it out in {_names(unseen)} either, which nobody did."
    )


def _names(rows: Sequence[GuardrailRow]) -> str:
    return ", ".join(f"“{each.metric.name}”" for each in rows)


def open_harms(report: Report, row: Row) -> list[GuardrailRow]:
    """Return the guardrails of the arm in which harm is neither shown nor ruled out.

    Those that nobody did in either arm are left out: they say how few learners there are.
    """
    found = (each for each in report.guardrails if each.arm.key == row.arm.key)
    return [each for each in found if each.is_open and not each.is_unseen]


OTHERS = "those who did not get it"
_FOUND = {
    Judgement.BETTER: "learners in “{arm}” did better",
    Judgement.WORSE: "learners in “{arm}” did worse",
    Judgement.EARLY: "it is too early to tell whether learners in “{arm}” differ from {others}",
    Judgement.HINT: "no difference between learners in “{arm}” and {others} stands",
    Judgement.NOT_FOUND: "no difference was found between learners in “{arm}” and {others}",
    Judgement.NOT_CLEAR: "it is not clear whether learners in “{arm}” differ from {others}",
    Judgement.TOO_FEW: "too few learners are counted to tell whether those in “{arm}” differ from "
    "{others}",
    Judgement.UNKNOWN: "it is not known whether learners in “{arm}” differ from {others}",
    Judgement.NOT_COMPARED: "learners in “{arm}” are not compared with {others}",
    Judgement.WITHHELD: "no comparison of learners in “{arm}” with {others} is given",
    Judgement.UNTRUSTED: "it cannot be said whether learners in “{arm}” differ from {others}",
}


def _others(row: Row) -> str:
    """Return the control's learners in words that need no explanation."""
    # A control with messages of its own did get something.
    if any(fate.outcome == "handed_off" for fate in row.control.deliveries):
        return f"those in “{row.control.name}”"
    return OTHERS


def _numbers(report: Report, row: Row, judgement: Judgement) -> str:
    """Return the levels and their difference, or nothing if there is nothing to compare."""
    is_known = row.comparison.difference.has_value and judgement is not Judgement.WITHHELD
    return f": {_levels(report, row)}{_apart(row, judgement)}" if is_known else ""


def _levels(report: Report, row: Row) -> str:
    found = next(each for each in report.results if each.metric == row.metric).observed
    arm = row.arm_level, found[row.arm.key]
    control = row.control_level, found[row.control.key]
    is_weighted = report.facts.is_adaptive
    return levels_text(row.metric, row.figures, arm, control, is_weighted=is_weighted)


def _apart(row: Row, judgement: Judgement) -> str:
    if judgement is Judgement.NOT_CLEAR:
        return ", which may be chance"
    if judgement not in (Judgement.BETTER, Judgement.WORSE):
        return ""
    apart = row.figures.size(row.figures.apart(row.comparison))
    return f" among {_others(row)}, which is {apart} {_more(row)}"


def _how_sure(report: Report, row: Row, judgement: Judgement) -> str:
    difference, figures = row.comparison.difference, row.figures
    counted = _counted(report, row)
    level = level_text(difference.level)
    if not difference.has_value:
        return f"{_capital(reason_text(report, difference.reason))}."
    if judgement is Judgement.WITHHELD:
        return f"{_capital(withheld_reason(report, row))}."
    if judgement is Judgement.UNKNOWN:
        return f"{counted} are counted, and {reason_text(report, difference.reason)}."
    if judgement is Judgement.EARLY:
        return f"{counted} are counted. {_early(report, row)}"
    if row.verdict.hint:
        return f"{counted} are counted. {row.verdict.hint}"
    if judgement in (Judgement.NOT_FOUND, Judgement.NOT_CLEAR, Judgement.TOO_FEW):
        return (
            f"{counted} are counted. With {level} confidence the true difference lies between a "
            f"fall of {figures.bound(difference.low)} and a rise of "
            f"{figures.bound(difference.high)}; it may also be zero. "
            f"{sensitivity_text(report, row)}".rstrip()
        )
    return (
        f"{counted} are counted. With {level} confidence the true difference is "
        f"{_sizes(row)}{figures.unit.points} {_more(row)}."
    )


def _early(report: Report, row: Row) -> str:
    """Return why a difference does not stand yet, with the interval that allows looking often."""
    text = "A difference shows today, but those who look often find one too often. "
    if report.looking is None:
        return f"{text}An adaptive draw is judged once, at its end."
    wide = report.looking.sequences[row.arm.key]
    if not wide.has_interval:
        return f"{text}For an interval that allows it, {wide.reason}."
    return (
        f"{text}The interval that allows it goes from {row.figures.showing(wide).interval(wide)}"
        f"{row.figures.unit.points}, and it holds zero."
    )


def _sizes(row: Row) -> str:
    """Return both limits of an interval without zero by their size: `10.1 to 29.5`."""
    limits = row.figures.interval(row.comparison.difference).split(" to ")
    small, large = limits if row.lift > 0 else reversed(limits)
    return f"{small[1:]} to {large[1:]}"


def _more(row: Row) -> str:
    return "more" if row.lift > 0 else row.figures.unit.fewer


def _counted(report: Report, row: Row) -> str:
    numbers = report.primary.observed
    arm, control = numbers[row.arm.key].n, numbers[row.control.key].n
    learners = "learner" if arm == 1 else "learners"
    role = f" ({OTHERS})" if _others(row) == OTHERS else ""
    return f"{arm:,} {learners} in “{row.arm.name}” and {control:,} in “{row.control.name}”{role}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
