"""The rows of a report's file: its outcomes as the ledger keeps them, then its guardrails. Pure."""

from collections.abc import Iterator

from experiments.metrics.observed import Observed
from experiments.reporting.facts import ArmFacts
from experiments.reporting.guardrails import GuardrailRow, state_text
from experiments.reporting.report import Report
from experiments.reporting.small_cells import REASON, is_small
from experiments.reporting.text import CSV_COLUMNS, csv_cell, csv_rows
from experiments.stats.estimate import UNKNOWN

# The ledger keeps the first ones, so later ones only follow them.
FILE_COLUMNS = (*CSV_COLUMNS, "role", "margin", "margin_p_value", "randomization_p_value")
_METRIC, _ARM = CSV_COLUMNS.index("metric"), CSV_COLUMNS.index("arm")


def file_rows(report: Report) -> Iterator[list[str]]:
    """Yield the file's rows under FILE_COLUMNS, one per metric and arm. A nan is empty."""
    primary = report.primary.metric.key
    by_draw = {
        (result.metric.key, arm): checked.randomization.p_value
        for result in report.results
        for arm, checked in result.checks.items()
        if checked.randomization is not None
    }
    for row in csv_rows(report):
        role = "primary" if row[_METRIC] == primary else "outcome"
        p_value = by_draw.get((row[_METRIC], row[_ARM]), UNKNOWN)
        yield [*row, role, "", "", csv_cell(p_value)]
    for place, guard in enumerate(report.guardrails):
        before = report.guardrails[place - 1].metric if place else None
        if guard.metric != before:
            yield _cells(_of_arm(report, guard, guard.control, guard.control_observed))
        yield _cells(_of_arm(report, guard, guard.arm, guard.arm_observed) | _difference(guard))


def _cells(values: dict[str, object]) -> list[str]:
    return [csv_cell(values.get(name, "")) for name in FILE_COLUMNS]


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
    }  # fmt: skip
