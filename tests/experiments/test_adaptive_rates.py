"""Rates of adaptive draws by period, beside the one-period case, formulas and other libraries."""

from math import sqrt

import numpy as np
import pytest
from scipy import optimize, special, stats

from experiments.stats.adaptive.comparison import compare_by_period, guard_by_period
from experiments.stats.adaptive.rates import (
    Pair,
    equal_precision,
    period_difference,
    period_statistic,
)
from experiments.stats.balance import sample_ratio_of_periods
from experiments.stats.comparison import MEANS, RATES
from experiments.stats.margins import Margin, Verdict
from experiments.stats.score import score_difference_limits, score_p_value
from experiments.stats.sufficient import Counts

TABLES = ((9, 30, 14, 30), (2, 12, 11, 44), (5, 8, 30, 52))
PAIRS = [Pair(Counts(x0, n0), Counts(x1, n1)) for x0, n0, x1, n1 in TABLES]


def test_one_period_is_the_ordinary_score_test() -> None:
    control, arm = Counts(9, 30), Counts(18, 45)
    found = period_difference([Pair(control, arm)])

    limits = score_difference_limits(control, arm, level=0.95)
    assert (found.difference.low, found.difference.high) == pytest.approx(limits, abs=1e-9)
    assert found.difference.p_value == pytest.approx(score_p_value(control, arm), rel=1e-12)
    assert found.precision == pytest.approx(30 * 45 / 75)


def test_null_statistic_has_the_hypergeometric_variances() -> None:
    # Given both margins, the successes of the arm are hypergeometric, and d follows from them.
    top = spread = 0.0
    for x0, n0, x1, n1 in TABLES:
        h = n0 * n1 / (n0 + n1)
        top += sqrt(h) * (x1 / n1 - x0 / n0)
        spread += h * stats.hypergeom.var(n0 + n1, x0 + x1, n1) / h**2

    assert period_statistic(PAIRS, difference=0.0) == pytest.approx(top / sqrt(spread), rel=1e-12)


def test_limits_are_where_a_search_for_the_likeliest_rates_gives_the_quantile() -> None:
    found = period_difference(PAIRS).difference

    def statistic(d: float) -> float:
        top = spread = 0.0
        for x0, n0, x1, n1 in TABLES:

            def fit(rate: float, x0=x0, n0=n0, x1=x1, n1=n1) -> float:  # type: ignore[no-untyped-def]
                return -float(
                    stats.binom.logpmf(x0, n0, rate) + stats.binom.logpmf(x1, n1, rate + d)
                )

            ends = (max(0, -d) + 1e-9, min(1, 1 - d) - 1e-9)
            rate = optimize.minimize_scalar(fit, bounds=ends, method="bounded",
                                            options={"xatol": 1e-11}).x  # fmt: skip
            h, n = n0 * n1 / (n0 + n1), n0 + n1
            variance = rate * (1 - rate) / n0 + (rate + d) * (1 - rate - d) / n1
            top += sqrt(h) * (x1 / n1 - x0 / n0 - d)
            spread += h * variance * n / (n - 1)
        return top / sqrt(spread)

    quantile = special.ndtri(0.975)
    assert statistic(found.low) == pytest.approx(quantile, abs=1e-5)
    assert statistic(found.high) == pytest.approx(-quantile, abs=1e-5)


def test_levels_differ_by_the_difference_and_arms_swap_signs() -> None:
    found = period_difference(PAIRS)
    swapped = period_difference([Pair(each.arm, each.control) for each in PAIRS]).difference

    assert found.arm_level - found.control_level == found.difference.value
    assert swapped.value == pytest.approx(-found.difference.value)
    assert (swapped.low, swapped.high) == pytest.approx(
        (-found.difference.high, -found.difference.low), abs=1e-9
    )


def test_trend_shared_by_both_arms_is_no_effect() -> None:
    # One rate in each period, but most of the arm is drawn when the rate is high.
    pairs = [Pair(Counts(6, 30), Counts(6, 30)), Pair(Counts(8, 10), Counts(72, 90))]

    assert period_difference(pairs).difference.value == 0
    pooled = score_p_value(Counts(14, 40), Counts(78, 120))
    assert pooled < 0.01


def test_precision_is_that_of_equal_arms_if_they_are_equal() -> None:
    equal = [Pair(Counts(5, 20), Counts(9, 20)), Pair(Counts(5, 20), Counts(8, 20))]
    assert period_difference(equal).precision == pytest.approx(equal_precision(80, 2))


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([], "no learner of the control is counted yet"),
        ([Pair(Counts(3, 30), Counts(0, 0))], "no learner of this arm is counted yet"),
        ([Pair(Counts(3, 30), Counts(1, 9))], "each arm needs 10 counted learners"),
        ([Pair(Counts(3, 30), Counts(0, 0)), Pair(Counts(0, 0), Counts(9, 30))], "each arm needs"),
    ],
)
def test_too_little_gives_a_reason(pairs: list[Pair], reason: str) -> None:
    found = period_difference(pairs).difference

    assert reason in found.reason
    assert not found.has_interval


@pytest.mark.parametrize("seen", [0, 30])
def test_outcomes_that_are_all_alike_rule_out_large_differences(seen: int) -> None:
    found = period_difference([Pair(Counts(seen, 30), Counts(seen, 30))] * 2).difference

    assert (found.value, found.p_value) == (0.0, 1.0)
    assert -0.1 < found.low < -0.03
    assert found.high == pytest.approx(-found.low)


def test_only_shares_are_compared_and_guarded() -> None:
    periods = [
        {"control": each.control, "nudge": each.arm, "call": Counts(5, 20)} for each in PAIRS
    ]
    arms = ("control", "nudge", "call")
    nudge, call = compare_by_period(periods, arms=arms, family=RATES, control="control")
    means = compare_by_period(periods, arms=arms, family=MEANS, control="control")

    assert nudge.difference == period_difference(PAIRS).difference
    assert nudge.control_level != call.control_level
    assert {each.difference.reason for each in means} == {
        "of an adaptive draw, only shares of learners are compared"
    }
    harmless = guard_by_period(
        periods, ("control", "nudge"), Margin(0.5, higher_is_worse=True), family=RATES, level=0.95
    )
    assert harmless.verdict is Verdict.SAFE
    assert harmless.p_value < 0.025


def test_arm_sizes_are_tested_against_the_shares_of_their_periods() -> None:
    shares = [[0.5, 0.5], [0.9, 0.1]]
    fair = sample_ratio_of_periods([[30, 30], [54, 6]], shares)
    assert fair.expected == pytest.approx((84.0, 36.0))
    assert fair.p_value == pytest.approx(1.0)
    assert not fair.is_mismatch

    # One period is Pearson's test, by scipy.
    one = sample_ratio_of_periods([[40, 20]], [[0.5, 0.5]])
    assert one.p_value == pytest.approx(stats.chisquare([40, 20]).pvalue)
    # Two periods: the sum of two binomials, by its normal limit.
    two = sample_ratio_of_periods([[40, 20], [50, 10]], shares)
    z = (90 - 84) / np.sqrt(60 * 0.25 + 60 * 0.09)
    assert two.p_value == pytest.approx(2 * stats.norm.sf(z))
    # Of a thousand learners, all later ones in the control.
    assert sample_ratio_of_periods([[30, 30], [940, 0]], shares).is_mismatch
    assert sample_ratio_of_periods([], shares).reason == "no learner is assigned yet"
