"""The rows of a report's file: its outcomes as the ledger keeps them, then its guardrails. Pure."""

from collections.abc import Iterator

from experiments.metrics.observed import Observed
from experiments.reporting.answer import Judgement, judge
from experiments.reporting.facts import ArmFacts, ExperimentFacts
from experiments.reporting.guardrails import GuardrailRow, state_text
from experiments.reporting.quoting import quoted
from experiments.reporting.report import MetricResult, Report, Row
from experiments.reporting.section_checks import p_of_the_draw
from experiments.reporting.small_cells import REASON, is_small
from experiments.reporting.text import CSV_COLUMNS, csv_cell, csv_rows

# The ledger keeps the first ones, so later ones only follow them.
FILE_COLUMNS = (
    *CSV_COLUMNS, "role", "margin", "margin_p_value", "randomization_p_value", "trusted",
    "arm_sizes_p_value", "corrected_p_value", "any_time_low", "any_time_high", "any_time_p_value",
    "left", "left_p_value", "lee_lower", "lee_upper", "protocol_sha256", "lee_low", "lee_high",
    "simulated", "ends_at", "most_learners", "most_sections", "looks", "quote",
    "randomization_corrected_p_value",
)  # fmt: skip
# What a row says of a comparison. It is empty where no comparison is given.
_COMPARED = (
    "lift", "low", "high", "relative_lift", "relative_low", "relative_high", "p_value",
    "interval_level", "method", "test",
)  # fmt: skip


def file_rows(report: Report) -> Iterator[list[str]]:
    """Yield the file's rows under FILE_COLUMNS, one per metric and arm. A nan is empty.

    Each row says whether the report can be trusted. If not, it holds no comparison.
    """
    kept = csv_rows(report)
    for result in report.results:
        for arm in report.arms:
            row = dict(zip(CSV_COLUMNS, next(kept), strict=True))
            yield _cells(report, arm, row | _of_outcome(report, result, arm))
    for place, guard in enumerate(report.guardrails):
        before = report.guardrails[place - 1].metric if place else None
        if guard.metric != before:
            of_control = _of_arm(report, guard, guard.control, guard.control_observed)
            yield _cells(report, guard.control, of_control)
        of_arm = _of_arm(report, guard, guard.arm, guard.arm_observed)
        yield _cells(report, guard.arm, of_arm | _difference(guard))


def _cells(report: Report, arm: ArmFacts, values: dict[str, object]) -> list[str]:
    values = {"trusted": not report.is_mismatch} | values | _of_plan(report.facts) | {
        "arm_sizes_p_value": report.balance.p_value,
    }  # fmt: skip
    if report.is_mismatch and not arm.is_control:
        values |= dict.fromkeys(_COMPARED, "") | dict.fromkeys(
            ("margin_p_value", "corrected_p_value"), ""
        )
        values |= {"finding": Judgement.UNTRUSTED.value, "reason": report.broken_sizes}
    return [csv_cell(values.get(name, "")) for name in FILE_COLUMNS]


def _of_plan(facts: ExperimentFacts) -> dict[str, object]:
    """Return what the plan said of the end, and whether the learners are simulated."""
    ends_at = facts.ends_at
    return {
        "protocol_sha256": facts.protocol_sha256, "simulated": facts.simulated_share > 0,
        "ends_at": ends_at.isoformat() if ends_at else "",
        "most_learners": facts.most_learners or "", "most_sections": facts.most_sections or "",
        "looks": " ".join(look.isoformat() for look in facts.looks),
    }  # fmt: skip


def _of_outcome(report: Report, result: MetricResult, arm: ArmFacts) -> dict[str, object]:
    """Return what the ledger does not keep of an arm in an outcome."""
    is_primary = result is report.primary
    values: dict[str, object] = {"role": "primary" if is_primary else "outcome"}
    if is_primary:
        values |= _of_leavers(report, arm)
    if arm.is_control:
        return values
    if report.withheld_reason(arm):
        return values | {"trusted": False}
    row = next(each for each in result.rows if each.arm.key == arm.key)
    return values | _of_comparison(report, result, row)


def _of_comparison(report: Report, result: MetricResult, row: Row) -> dict[str, object]:
    values: dict[str, object] = {
        "corrected_p_value": row.corrected_p,
        "quote": quoted(report, row).value,
    }
    if row.comparison.difference.note:
        values["reason"] = row.comparison.difference.note
    judgement = judge(report, row)
    if judgement in (Judgement.NOT_CLEAR, Judgement.TOO_FEW):
        # As on the page. The ledger's word is that of the test alone: no difference was found.
        values["finding"] = judgement.value
    checked = result.checks.get(row.arm.key)
    if checked is not None and checked.randomization is not None:
        plain, corrected = p_of_the_draw(report, row)
        values |= {"randomization_p_value": plain, "randomization_corrected_p_value": corrected}
    if result is report.primary and report.looking:
        found = report.looking.sequences[row.arm.key]
        names = ("any_time_low", "any_time_high", "any_time_p_value")
        values |= zip(names, (found.low, found.high, found.p_value), strict=True)
    return values


def _of_leavers(report: Report, arm: ArmFacts) -> dict[str, object]:
    """Return how many learners of the arm left, and the bounds of the effect on the others."""
    found = report.staying
    if found is None or found.is_hiding:
        return {}
    if arm.is_control:
        return {"left": found.control_left.successes}
    left = next(each for each in found.arms if each.arm.key == arm.key)
    values: dict[str, object] = {"left": left.left.successes, "left_p_value": left.p_value}
    if left.bounds and not report.withheld_reason(arm):
        values |= {
            f"lee_{name}": getattr(left.bounds, name) for name in ("lower", "upper", "low", "high")
        }
    return values


def _of_arm(
    report: Report, row: GuardrailRow, arm: ArmFacts, observed: Observed
) -> dict[str, object]:
    values: dict[str, object] = {
        "experiment": report.facts.key, "as_of": report.facts.as_of.isoformat(),
        "metric": row.metric.key, "kind": row.metric.family.name, "arm": arm.key,
        "is_control": arm.is_control, "assigned": arm.assigned, "role": "guardrail",
    }  # fmt: skip
    if is_small(observed.n):
        return values | {"reason": REASON}
    tally, number = observed.tally
    return values | {
        "counted": observed.n, "waiting": arm.assigned - observed.n, tally: number,
        "rate_or_mean": row.metric.family.level(observed.sums),
    }  # fmt: skip


def _difference(row: GuardrailRow) -> dict[str, object]:
    found = row.guardrail.difference
    return {
        "lift": found.value, "low": found.low, "high": found.high, "p_value": found.p_value,
        "interval_level": found.level, "method": found.method, "test": found.test,
        "finding": state_text(row), "reason": found.reason,
        "margin": row.guardrail.margin.size, "margin_p_value": row.guardrail.p_value,
        "corrected_p_value": row.corrected_p,
    }  # fmt: skip
