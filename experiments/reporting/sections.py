"""The sections of a report page below its outcomes, as rows of texts. Pure, no markup."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite

from experiments.reporting.answer import TOO_FEW, Judgement
from experiments.reporting.baseline import BaselineRow
from experiments.reporting.details import Details
from experiments.reporting.figures import MISSING, Figures, level_text, p_text
from experiments.reporting.guardrails import (
    GuardrailRow,
    guardrail_levels,
    guardrail_text,
    state_text,
)
from experiments.reporting.report import MetricResult, Report
from experiments.reporting.small_cells import FEW, is_small
from experiments.reporting.staying import ArmLeft
from experiments.reporting.text import listed
from experiments.reporting.verdict import balance_text
from experiments.stats.attrition import Bounds
from experiments.stats.balance import Balance
from experiments.stats.comparison import Comparison
from experiments.stats.estimate import Estimate
from experiments.stats.rates import rate_test
from experiments.stats.sufficient import Counts
from experiments.stats.units import PERCENT

_LEAVERS = (
    "Learners who left count in the arm drawn. What they did within the time counts, before they "
    "left and after it too; what they did not do counts as not done."
)
# The sentences that say which of several effects to quote.
_QUOTED = (
    "Quote the difference given above, in the results: it compares all learners as they were "
    "drawn, whether or not a message reached them (intention to treat), so only the arm or chance "
    "explains it. The others below answer other questions."
)


@dataclass(frozen=True)
class GuardText:
    """A guardrail: its name, its state with a style, and its numbers."""

    name: str
    style: str
    state: str
    text: str


def guard_texts(report: Report) -> list[GuardText]:
    """Return each guardrail of each arm, those that got or may have got worse first."""
    several = len(report.arms) > 2
    rows = sorted(report.guardrails, key=lambda row: (not row.is_harmful, not row.is_hint))
    return [
        GuardText(
            f"{row.metric.name}: {row.arm.name}" if several else row.metric.name,
            *_guard(report, row),
        )
        for row in rows
    ]


def guards_note(report: Report) -> str:
    """Return how the guardrails are tested; empty if none is compared."""
    found = [row.guardrail.difference for row in report.guardrails]
    known = [each for each in found if each.has_interval]
    if not known or report.is_mismatch:
        return ""
    ways = listed(list(dict.fromkeys(each.method for each in known)))
    level, side = level_text(known[0].level), (1 - known[0].level) / 2
    return (
        f"Harm beyond what is accepted is ruled out if the whole {level} interval lies within it "
        f"({ways}), which is a test on one side at p < {side:.3g}. “Worse” means that the interval "
        f"excludes zero{_number_text(report)}"
    )


def _number_text(report: Report) -> str:
    """Return how the number of guardrails is taken into account, as the end of a sentence."""
    number = len(report.guardrails)
    if number < 2:
        return "."
    if not report.facts.is_corrected:
        return f". These {number:,} comparisons are not corrected for their number."
    return (
        f", also with p corrected for all {number:,} guardrails (Holm), and “perhaps worse” that "
        "it does so only without this correction. Intervals are not corrected."
    )


def _guard(report: Report, row: GuardrailRow) -> tuple[str, str, str]:
    """Return the style, the state and the numbers; no state if the arms are broken."""
    if report.is_mismatch:
        return (
            "unknown",
            Judgement.UNTRUSTED.value,
            f"{guardrail_levels(row)} No comparison is given.",
        )
    return _guard_style(row), state_text(row), guardrail_text(row)


def _guard_style(row: GuardrailRow) -> str:
    if row.is_open:
        return "unknown"
    return "bad" if row.is_harmful else "good"


def mismatch_text(report: Report) -> str:
    """Return which arm sizes can hardly be chance, and what that means; empty if none."""
    found = report.broken_sizes
    if not found:
        return ""
    return (
        f"{found[:1].upper()}{found[1:]}. {_lacking(report)}Something other than the draw affects "
        "which learners are in them. Until you have found the cause, no arm is compared with the "
        "control."
    )


def _lacking(report: Report) -> str:
    """Return which arms have fewer learners than the draw gives; empty where draws do not say."""
    if not report.balance.is_mismatch or not report.facts.pools_learners:
        return ""
    sizes = zip(report.arms, report.balance.expected, strict=True)
    return "".join(
        f"“{arm.name}” has too few of the {report.assigned:,} learners drawn: {arm.assigned:,} "
        f"({arm.assigned / report.assigned:.1%}, intended {expected / report.assigned:.1%}). "
        for arm, expected in sizes
        if arm.assigned < expected
    )


def balance_texts(report: Report) -> list[str]:
    """Return a sentence on the arm sizes of the drawn, the counted and the reached learners.

    Those that fit the draw share one.
    """
    fitting = [each for each in report.balances if each[1].state is Balance.CONSISTENT]
    others = [each for each in report.balances if each[1].state is not Balance.CONSISTENT]
    texts = [f"{name}: {_lower(balance_text(balance))}" for name, balance in others]
    if not fitting:
        return texts
    names = listed([_lower(name) for name, _ in fitting])
    p_values = listed([p_text(balance.p_value) for _, balance in fitting])
    tests = listed(list(dict.fromkeys(balance.test for _, balance in fitting)))
    fits = f"{names[:1].upper()}{names[1:]}: about as many in each arm as intended ({p_values}"
    return [f"{fits}; {tests} test).", *texts]


def staying_texts(report: Report) -> list[str]:
    """Return how many learners left each arm before they were counted, and what that means."""
    found = report.staying
    if found is None or not found.control_left.n:
        return []
    if not found.is_any:
        return ["No learner left the course before being counted."]
    left = found.control_left
    if found.is_hiding:
        return [f"How many learners left is hidden: an arm has {FEW} counted learners."]
    control = f"{left.successes:,} of {left.n:,} in “{found.control.name}”"
    return [
        f"{each.left.successes:,} of {each.left.n:,} learners in “{each.arm.name}” left the course "
        f"within the time that counts, and {control} ({_left_test(left, each)})."
        f"{_bounds(report, each)}"
        for each in found.arms
    ] + [_LEAVERS]


def _left_test(control: Counts, found: ArmLeft) -> str:
    if not found.left.n:
        return p_text(found.p_value)
    return f"{p_text(found.p_value)}; {rate_test(control, found.left)[0]} test"


def reach_texts(report: Report) -> Iterator[str]:
    """Yield how many learners a message reached, and what is known of the effect on them."""
    found = report.reach
    if found is None or report.is_withheld or not any(each.reached.n for each in found.arms):
        return
    withheld = {arm.key for arm in report.arms if report.withheld_reason(arm)}
    primary, control = report.primary.metric, found.control_reached.n
    yield _QUOTED
    for each in found.arms:
        if is_small(each.reached.n):
            continue
        share = f"{each.reached.rate:.1%}" if each.reached.n else MISSING
        yield (
            f"A message reached {each.reached.successes:,} of {each.reached.n:,} counted learners "
            f"in “{each.arm.name}” ({share}), within the time for which {_lower(primary.name)} is "
            "counted."
        )
        if each.arm.key in withheld:
            continue
        if each.effect is not None and min(each.reached.successes, control) >= TOO_FEW:
            yield _effect(each.effect, report.primary.rows[0].figures)
    names = {arm.key: arm.name for arm in report.arms}
    for comparison in found.anchored:
        if comparison.arm not in withheld:
            yield from _anchored(comparison, names, report.primary)


def _anchored(
    comparison: Comparison, names: dict[str, str], primary: MetricResult
) -> Iterator[str]:
    if not (isfinite(comparison.arm_level) and isfinite(comparison.control_level)):
        return
    difference = comparison.difference
    figures = primary.rows[0].figures.showing(difference)
    limits = (
        f"{level_text(difference.level)} interval {figures.interval(difference)}"
        f"{figures.unit.points}; {p_text(difference.p_value)}"
        if difference.has_interval
        else difference.reason
    )
    levels = [figures.level(each) for each in (comparison.arm_level, comparison.control_level)]
    yield (
        f"To check the difference above, counted from the first message or ghost on: {levels[0]} "
        f"{primary.metric.words} in "
        f"“{names[comparison.arm]}”, against {levels[1]} in “{names[comparison.control]}” "
        f"({limits}). It leaves out learners who got neither."
    )


def _effect(effect: Estimate, figures: Figures) -> str:
    """Return the effect on learners whom a message reached because of their arm."""
    if not effect.has_interval:
        return f"The effect on those it reached is not known: {effect.reason}."
    if figures.unit is PERCENT:
        # A share cannot change by more than all of it.
        effect = replace(effect, low=max(effect.low, -1.0), high=min(effect.high, 1.0))
    figures = figures.showing(effect)
    value = figures.change_with_unit(effect.value)
    return (
        f"To judge the message itself: on those whom it reached, the estimated effect is {value} "
        f"({level_text(effect.level)} interval {figures.interval(effect)}{figures.unit.points}; "
        "effect on compliers). This assumes that the arm works only through its messages."
    )


def _bounds(report: Report, found: ArmLeft) -> str:
    """Return what is known of the effect on those who would have stayed in either arm."""
    bounds = found.bounds
    # Where no comparison is given, bounds of one would be quoted in its place.
    if bounds is None or not isfinite(bounds.lower) or report.withheld_reason(found.arm):
        return ""
    figures = report.primary.rows[0].figures
    low, high = figures.change(bounds.lower), figures.change_with_unit(bounds.upper)
    return (
        " Among learners who would have stayed in either arm, the effect is estimated to lie "
        f"between {low} and {high} (Lee's bounds, if the arm only makes learners leave or only "
        f"makes them stay{_with_chance(bounds, figures)})."
    )


def _with_chance(bounds: Bounds, figures: Figures) -> str:
    """Return the limits that hold the effect although the bounds are estimates themselves."""
    if not (isfinite(bounds.low) and isfinite(bounds.high)):
        return "; chance comes on top"
    low, high = figures.limits(bounds.low, bounds.high)
    return (
        f"; with chance, the {level_text(bounds.level)} interval of Imbens and Manski is "
        f"{low} to {high}{figures.unit.points}"
    )


@dataclass(frozen=True)
class PartRow:
    """A part of the learners: its name, its size by arm, and the difference of each other arm."""

    name: str
    counted: list[str]
    differences: list[str]


@dataclass(frozen=True)
class PartTable:
    """A table of parts, and the sentence on the parts that it hides."""

    name: str
    rows: list[PartRow]
    hidden: str


def part_tables(report: Report, details: Details) -> list[PartTable]:
    """Return a table for each way in which the learners are split."""
    tables = []
    for way in details.subgroups:
        rows = [
            PartRow(
                part.name,
                [f"{part.counted[arm.key]:,}" for arm in report.arms],
                [_difference(each, part.figures) for each in part.comparisons],
            )
            for part in way.parts
        ]
        tables.append(PartTable(way.name, rows, _hidden(way.hidden)))
    return tables


def _hidden(number: int) -> str:
    if not number:
        return ""
    parts = "1 part is" if number == 1 else f"{number:,} parts are"
    return (
        f"{parts} not shown: an arm has {FEW} counted learners there, or they could be found by "
        "subtraction."
    )


def _difference(comparison: Comparison, figures: Figures) -> str:
    difference = comparison.difference
    if not difference.has_interval:
        return f"{figures.change_with_unit(figures.apart(comparison))}: {difference.reason}"
    return f"{figures.change_with_unit(figures.apart(comparison))} ({figures.interval(difference)})"


@dataclass(frozen=True)
class BeforeRow:
    """A number of the time before the draw: each arm's mean, and how far the others are apart."""

    name: str
    means: list[str]
    apart: str
    is_notable: bool


def before_rows(report: Report, details: Details) -> list[BeforeRow]:
    """Return the rows of the table on the time before the draw that have any number."""
    return [
        _before_row(report, row)
        for row in details.baseline
        if any(isfinite(each) for each in row.means.values())
    ]


def _before_row(report: Report, row: BaselineRow) -> BeforeRow:
    known = [each for each in row.apart.values() if isfinite(each)]
    farthest = max(known, key=abs, default=float("nan"))
    return BeforeRow(
        row.name,
        [f"{row.means[arm.key]:.2f}" if isfinite(row.means[arm.key]) else MISSING
         for arm in report.arms],
        f"{farthest:+z.2f}" if known else _NOBODY if _is_zero(row) else MISSING,
        row.is_notable,
    )  # fmt: skip


# A row of zeros would else look like a fault of the report.
_NOBODY = "nobody did any in these 7 days"


def _is_zero(row: BaselineRow) -> bool:
    return all(each == 0 for each in row.means.values() if isfinite(each))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
