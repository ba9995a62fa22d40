"""Every number of a report in a file for programs, one number per line. Pure.

The notebook computes all of them again from the rows, apart from those that are given.
"""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import NamedTuple

from experiments.reporting.guardrails import GuardrailRow
from experiments.reporting.reach import Reach
from experiments.reporting.report import MetricResult, Report
from experiments.reporting.share_periods import Adaptive
from experiments.reporting.small_cells import is_small
from experiments.reporting.staying import Staying
from experiments.stats.adaptive.rates import Pair, period_weights
from experiments.stats.balance import sample_ratio
from experiments.stats.comparison import Comparison
from experiments.stats.estimate import Estimate
from experiments.stats.sufficient import Counts

COLUMNS = ("part", "outcome", "arm", "number", "value")
GIVEN = "given"
# The numbers that do not compare an arm with the control.
_OF_ONE_ARM = ("counted", "total", "rate_or_mean", "learners")


class Number(NamedTuple):
    """A number of a report and where it belongs. Those of the part GIVEN are not computed."""

    part: str
    outcome: str
    arm: str
    number: str
    value: float


def number_cells(report: Report, *, settings: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the file under COLUMNS. A number that is not known is empty.

    `settings` are given numbers that the report does not hold.
    """
    given = [Number(GIVEN, "", "", name, value) for name, value in settings.items()]
    for *words, value in (*given, *report_numbers(report)):
        yield (*words, repr(float(value)) if isfinite(value) else "")


def report_numbers(report: Report) -> Iterator[Number]:
    """Yield every number of the report."""
    yield from _given(report)
    yield from _of_sizes(report)
    for number in _of_parts(report):
        if not _is_withheld(report, number):
            yield number


def _of_parts(report: Report) -> Iterator[Number]:
    for result in report.results:
        yield from _of_result(result)
    sequences = report.looking.sequences if report.looking else {}
    for key, found in sequences.items():
        yield from _of_sequence(report.primary.metric.key, key, found)
    for row in report.guardrails:
        yield from _of_guardrail(row)
    if report.adaptive:
        yield from _of_periods(report.primary, report.adaptive)
    if report.staying:
        yield from _of_staying(report.staying)
    if report.reach:
        yield from _of_reach(report.reach, report.primary.metric.key)


def _is_withheld(report: Report, number: Number) -> bool:
    """Return whether the page gives no such number, so that the file must not give it either.

    Counts and levels describe an arm on its own and stay. If learners left one arm only, the
    guardrails and who left stay too: they are the answer then.
    """
    arm = next((each for each in report.arms if each.key == number.arm), None)
    if number.number in _OF_ONE_ARM or arm is None or not report.withheld_reason(arm):
        return False
    is_of_bounds = number.number.startswith("bounds_")
    return report.is_mismatch or is_of_bounds or number.part not in ("guardrail", "left")


def _given(report: Report) -> Iterator[Number]:
    yield Number(GIVEN, "", "", "level", report.facts.level)
    yield Number(GIVEN, "", "", "is_corrected", report.facts.is_corrected)
    yield Number(GIVEN, "", "", "draws_sections", report.facts.draws_sections)
    yield Number(GIVEN, "", "", "trusted", not report.is_mismatch)
    yield Number(GIVEN, "", "", "simulated", report.facts.simulated_share)
    for arm in report.arms:
        yield Number(GIVEN, "", arm.key, "withheld", bool(report.withheld_reason(arm)))
        yield Number(GIVEN, "", arm.key, "weight", arm.weight)
        yield Number(GIVEN, "", arm.key, "is_control", arm.is_control)
        yield Number(GIVEN, "", arm.key, "sections", arm.sections)
    yield Number(GIVEN, "", "", "is_adaptive", report.facts.is_adaptive)
    periods = report.adaptive.periods if report.adaptive else ()
    for number, period in enumerate(periods, start=1):
        for key, share in period.shares.items():
            yield Number(GIVEN, "", key, f"share_{number}", share)
    for row in report.guardrails:
        yield Number(GIVEN, row.metric.key, row.arm.key, "margin", row.guardrail.margin.size)


def _of_sizes(report: Report) -> Iterator[Number]:
    yield Number("arms", "", "", "p_value", report.balance.p_value)
    yield Number("arms", "", "", "always_p_value", report.balance.always_p_value)
    for arm in report.arms:
        yield Number("arms", "", arm.key, "drawn", arm.assigned)
    if report.adaptive:
        if not report.primary.is_hiding:
            p_value = report.adaptive.counted.p_value
            yield Number("arms", report.primary.metric.key, "", "counted_p_value", p_value)
    elif not (report.facts.draws_sections or report.primary.is_hiding):
        counted = [report.primary.observed[arm.key].n for arm in report.arms]
        balance = sample_ratio(counted, [arm.weight for arm in report.arms])
        yield Number("arms", report.primary.metric.key, "", "counted_p_value", balance.p_value)


def _of_result(result: MetricResult) -> Iterator[Number]:
    key = result.metric.key
    for arm, observed in result.observed.items():
        if is_small(observed.n):
            continue
        yield Number("outcome", key, arm, "counted", observed.n)
        yield Number("outcome", key, arm, "total", observed.tally[1])
        level = result.metric.family.level(observed.sums)
        yield Number("outcome", key, arm, "rate_or_mean", level)
    for row in result.rows:
        yield from _of_comparison("outcome", key, row.arm.key, row.comparison)
        if result.by_part and not result.checks:
            levels = row.comparison.arm_level, row.comparison.control_level
            yield from _weighted("outcome", key, row.arm.key, levels)
        yield Number("outcome", key, row.arm.key, "corrected_p_value", row.corrected_p)
    for arm, checked in result.checks.items():
        for name in ("value", "low", "high", "p_value"):
            value = getattr(checked.found.of_sections, name)
            yield Number("outcome", key, arm, f"of_sections_{name}", value)
        # Draws at random cannot be drawn again from the rows, whose sections have other numbers.
        if checked.randomization is not None and checked.randomization.is_exact:
            p_value = checked.randomization.p_value
            yield Number("outcome", key, arm, "randomization_p_value", p_value)


def _of_comparison(part: str, key: str, arm: str, found: Comparison) -> Iterator[Number]:
    yield from _estimate(part, key, arm, found.difference)
    for name in ("value", "low", "high"):
        yield Number(part, key, arm, f"relative_{name}", getattr(found.relative, name))


def _estimate(part: str, key: str, arm: str, found: Estimate) -> Iterator[Number]:
    yield Number(part, key, arm, "difference", found.value)
    for name in ("low", "high", "p_value"):
        yield Number(part, key, arm, name, getattr(found, name))


def _weighted(part: str, key: str, arm: str, levels: tuple[float, float]) -> Iterator[Number]:
    """Yield the levels whose difference is that of an adaptive draw."""
    yield Number(part, key, arm, "weighted_rate", levels[0])
    yield Number(part, key, arm, "control_weighted_rate", levels[1])


def _of_periods(primary: MetricResult, found: Adaptive) -> Iterator[Number]:
    """Yield the weight of each period in the primary comparison, and the precision that is left.

    Weights follow from the numbers of learners, so those of few are left out.
    """
    key = primary.metric.key
    for row in primary.rows:
        control, arm = row.control.key, row.arm.key
        if not row.comparison.difference.has_value:
            continue
        yield Number("period", key, arm, "precision", found.precision[arm])
        parts = [primary.by_part.get(period.key, {}) for period in found.periods]
        pairs = [
            Pair(*(of[each].sums if each in of else Counts(0, 0) for each in (control, arm)))
            for of in parts
        ]
        for number, (pair, weight) in enumerate(zip(pairs, period_weights(pairs), strict=True), 1):
            if min(pair.control.n, pair.arm.n) and not (
                is_small(pair.control.n) or is_small(pair.arm.n)
            ):
                yield Number("period", key, arm, f"weight_{number}", weight)


def _of_sequence(primary: str, arm: str, found: Estimate) -> Iterator[Number]:
    for name in ("low", "high", "p_value"):
        yield Number("any time", primary, arm, name, getattr(found, name))


def _of_guardrail(row: GuardrailRow) -> Iterator[Number]:
    key, arm, found = row.metric.key, row.arm.key, row.guardrail
    for each, observed, level in (
        (arm, row.arm_observed, row.arm_level),
        (row.control.key, row.control_observed, row.control_level),
    ):
        if not is_small(observed.n):
            yield Number("guardrail", key, each, "counted", observed.n)
            yield Number("guardrail", key, each, "total", observed.tally[1])
        if not row.is_weighted:
            yield Number("guardrail", key, each, "rate_or_mean", level)
    if row.is_weighted:
        yield from _weighted("guardrail", key, arm, (row.arm_level, row.control_level))
    yield from _estimate("guardrail", key, arm, found.difference)
    yield Number("guardrail", key, arm, "margin_p_value", found.p_value)
    yield Number("guardrail", key, arm, "corrected_p_value", row.corrected_p)


def _of_staying(found: Staying) -> Iterator[Number]:
    if found.is_hiding:
        return
    yield Number("left", "", found.control.key, "learners", found.control_left.successes)
    for each in found.arms:
        yield Number("left", "", each.arm.key, "learners", each.left.successes)
        yield Number("left", "", each.arm.key, "p_value", each.p_value)
        if each.bounds:
            for name in ("lower", "upper", "low", "high"):
                value = getattr(each.bounds, name)
                yield Number("left", "", each.arm.key, f"bounds_{name}", value)


def _of_reach(found: Reach, primary: str) -> Iterator[Number]:
    for each in found.arms:
        # Not every kind of primary outcome is read beside the messages.
        if each.reached.n and not is_small(each.reached.n):
            yield Number("reached", "", each.arm.key, "learners", each.reached.successes)
        if each.effect:
            yield from _estimate("reached", primary, each.arm.key, each.effect)
    for comparison in found.anchored:
        yield from _of_comparison("from_message", primary, comparison.arm, comparison)
    if not any(map(is_small, found.balance.observed)):
        yield Number("from_message", "", "", "p_value", found.balance.p_value)
