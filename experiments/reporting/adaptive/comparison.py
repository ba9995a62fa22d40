"""A report on an adaptive draw: learners are compared with those of the same period. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from experiments.metrics.definitions import LOWER, Metric
from experiments.metrics.observed import Observed
from experiments.reporting.compared import of_metric
from experiments.reporting.facts import ArmFacts
from experiments.reporting.guardrails import GuardrailRow, corrected_rows, guardrail_row
from experiments.reporting.report import Report, metric_results
from experiments.reporting.share_periods import Adaptive, Period
from experiments.reporting.small_cells import without_small
from experiments.stats.adaptive.comparison import (
    ByPeriod,
    compare_by_period,
    difference_by_period,
    guard_by_period,
)
from experiments.stats.adaptive.rates import equal_precision
from experiments.stats.balance import SampleRatio, sample_ratio_of_periods
from experiments.stats.margins import Margin

# The outcomes by metric key, period and arm key.
OfPeriods = Mapping[str, Mapping[str, Mapping[str, Observed]]]


def with_periods(
    report: Report,
    *,
    guardrails: Sequence[tuple[Metric, float]],
    observed: Mapping[str, Mapping[str, Observed]],
    by_period: OfPeriods,
    periods: Sequence[Period],
) -> Report:
    """Return the report with each arm compared within the periods of constant shares.

    A comparison of whole arms would find differences between equal arms, so none is left: what is
    said of learners who left or were reached is left out too, and of any other time than the end.
    """
    facts, arms = report.facts, report.arms
    metrics = [result.metric for result in report.results]
    keys = [arm.key for arm in arms]
    control = next(arm.key for arm in arms if arm.is_control)
    wholes = [of_metric(metric, arms, observed) for metric in metrics]
    compared = [
        without_small(
            compare_by_period(
                _sums(by_period[metric.key]),
                arms=keys,
                family=metric.family,
                control=control,
                level=facts.level,
            ),
            {key: found.n for key, found in whole.items()},
            level=facts.level,
        )
        for metric, whole in zip(metrics, wholes, strict=True)
    ]
    results = metric_results(facts, arms, metrics, wholes, compared)
    return replace(
        report,
        balance=_balance(arms, periods, [each.drawn for each in periods]),
        results=[replace(each, by_part=by_period[each.metric.key]) for each in results],
        guardrails=corrected_rows(
            [
                row
                for metric, size in guardrails
                for row in _guardrail_rows(
                    metric,
                    Margin(size, higher_is_worse=metric.better == LOWER),
                    of_metric(metric, arms, observed),
                    _sums(by_period[metric.key]),
                    report=report,
                )
            ],
            is_corrected=report.facts.is_corrected,
        ),
        adaptive=_adaptive(report, by_period[metrics[0].key], periods),
    )


def _adaptive(
    report: Report, primary: Mapping[str, Mapping[str, Observed]], periods: Sequence[Period]
) -> Adaptive:
    metric, arms = report.primary.metric, report.arms
    control = next(arm.key for arm in arms if arm.is_control)
    counted = [
        {key: found.n for key, found in primary.get(each.key, {}).items()} for each in periods
    ]
    learners = sum(found.n for of_period in primary.values() for found in of_period.values())
    equal = equal_precision(learners, sum(arm.weight > 0 for arm in arms))
    precise = {
        arm.key: difference_by_period(
            _sums(primary), (control, arm.key), metric.family, report.facts.level
        ).precision
        for arm in arms
        if not arm.is_control
    }
    return Adaptive(
        tuple(periods),
        _balance(arms, periods, counted),
        learners,
        {arm: found / equal if equal else 0.0 for arm, found in precise.items()},
    )


def _balance(
    arms: Sequence[ArmFacts], periods: Sequence[Period], sizes: Sequence[Mapping[str, int]]
) -> SampleRatio:
    """Return the test of the sizes of the arms. Only arms with a share can have learners."""
    drawn = [arm.key for arm in arms if arm.weight > 0]
    found = sample_ratio_of_periods(
        [[of.get(arm, 0) for arm in drawn] for of in sizes],
        [[each.shares[arm] for arm in drawn] for each in periods],
    )
    if not found.observed:
        nobody = tuple(0 for _ in arms)
        return replace(found, observed=nobody, expected=tuple(map(float, nobody)))
    expected = dict(zip(drawn, found.expected, strict=True))
    observed = tuple(sum(of.get(arm.key, 0) for of in sizes) for arm in arms)
    return replace(
        found,
        observed=observed,
        expected=tuple(expected.get(arm.key, 0.0) for arm in arms),
        strays=sum(observed) - sum(found.observed),
    )


def _guardrail_rows(
    metric: Metric,
    margin: Margin,
    wholes: Mapping[str, Observed],
    periods: ByPeriod,
    *,
    report: Report,
) -> list[GuardrailRow]:
    control = next(arm for arm in report.arms if arm.is_control)
    family, level, found = metric.family, report.facts.level, []
    for arm in report.arms:
        if not arm.is_control:
            pair = control.key, arm.key
            guardrail = guard_by_period(periods, pair, margin, family=family, level=level)
            outcomes = (wholes[control.key], wholes[arm.key])
            row = guardrail_row(metric, (control, arm), outcomes, guardrail)
            if row.guardrail.difference.has_value:
                # The levels of which the difference is the difference.
                levels = difference_by_period(periods, pair, family, level)
                row = replace(
                    row,
                    arm_level=levels.arm_level,
                    control_level=levels.control_level,
                    is_weighted=True,
                )
            found.append(row)
    return found


def _sums(periods: Mapping[str, Mapping[str, Observed]]) -> list[dict[str, Any]]:
    return [{arm: found.sums for arm, found in of.items()} for of in periods.values()]
