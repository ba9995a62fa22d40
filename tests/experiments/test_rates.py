from math import comb, isnan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from experiments.stats.rates import (
    fisher_p_value,
    newcombe_difference,
    newcombe_interval,
    rate_test,
    relative_rate,
    score_statistic,
    wilson_interval,
)
from experiments.stats.sufficient import Counts

HILLSTROM_NONE = Counts(2262, 21306)
HILLSTROM_MENS = Counts(3894, 21307)


@st.composite
def counts(draw: st.DrawFn, least: int = 1, most: int = 60) -> Counts:
    n = draw(st.integers(least, most))
    return Counts(draw(st.integers(0, n)), n)


def test_newcombe_interval_is_the_published_one() -> None:
    # Newcombe (1998), Statistics in Medicine 17:873, Table II, example (a), method 10.
    found = newcombe_difference(Counts(48, 80), Counts(56, 70))

    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_a_rate_of_one_does_not_collapse_the_interval() -> None:
    # Newcombe's method 10 and Fisher's exact test at 20/20 against 11/20.
    control, treatment = Counts(11, 20), Counts(20, 20)
    found = newcombe_difference(control, treatment)

    assert (found.low, found.high) == pytest.approx((0.1995, 0.6579), abs=5e-5)
    assert fisher_p_value(control, treatment) == pytest.approx(0.0012, abs=5e-5)
    # Boschloo's test is never less powerful than Fisher's.
    assert found.test == "Boschloo exact"
    assert found.p_value <= fisher_p_value(control, treatment)


@pytest.mark.parametrize(
    ("control", "treatment", "z"),
    [
        # Hillstrom's e-mail test (2008), pooled z: visits, then conversions, men's then women's.
        (HILLSTROM_NONE, HILLSTROM_MENS, 22.486),
        (Counts(122, 21306), Counts(267, 21307), 7.3851),
        (HILLSTROM_NONE, Counts(3238, 21387), 13.949),
        (Counts(122, 21306), Counts(189, 21387), 3.7796),
    ],
    ids=["mens visit", "mens conversion", "womens visit", "womens conversion"],
)
def test_score_test_gives_hillstroms_z(control: Counts, treatment: Counts, z: float) -> None:
    assert score_statistic(control, treatment) == pytest.approx(z, rel=5e-5)
    assert rate_test(control, treatment)[0] == "score"


def test_relative_lift_of_a_large_trial_equals_the_delta_method() -> None:
    # Independent way: the delta method on the log ratio (Katz), which agrees where arms are large.
    found = relative_rate(HILLSTROM_NONE, HILLSTROM_MENS)
    low, high = confint_proportions_2indep(3894, 21307, 2262, 21306, compare="ratio", method="log")

    assert found.value == pytest.approx(3894 / 21307 / (2262 / 21306) - 1)
    assert (found.low, found.high) == pytest.approx((low - 1, high - 1), abs=5e-4)


@given(counts(), counts(), st.sampled_from([0.8, 0.95, 0.99]))
def test_newcombe_interval_equals_statsmodels(
    control: Counts, treatment: Counts, level: float
) -> None:
    expected = confint_proportions_2indep(
        treatment.successes, treatment.n, control.successes, control.n,
        compare="diff", method="newcomb", alpha=1 - level,
    )  # fmt: skip

    found = newcombe_interval(control, treatment, level=level)
    assert found == pytest.approx(expected, abs=1e-9)


@given(counts(least=20), counts(least=20))
def test_score_test_equals_statsmodels(control: Counts, treatment: Counts) -> None:
    test, p_value = rate_test(control, treatment)
    assume(test == "score")

    _, expected = proportions_ztest(
        [treatment.successes, control.successes], [treatment.n, control.n]
    )
    assert p_value == pytest.approx(expected, rel=1e-6)


@given(counts())
def test_wilson_interval_equals_scipy(found: Counts) -> None:
    expected = scipy_stats.binomtest(found.successes, found.n).proportion_ci(method="wilson")

    assert wilson_interval(found) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(counts(), counts())
def test_relative_limits_solve_the_equation_they_come_from(
    control: Counts, treatment: Counts
) -> None:
    # Independent way: the limits are where Newcombe's argument, made for p1 - R p0, touches zero.
    assume(control.successes and treatment.successes)
    low0, high0 = wilson_interval(control)
    low1, high1 = wilson_interval(treatment)
    p0, p1 = control.rate, treatment.rate

    def below(ratio: float) -> float:
        return p1 - ratio * p0 - np.hypot(p1 - low1, ratio * (high0 - p0))

    def above(ratio: float) -> float:
        return p1 - ratio * p0 + np.hypot(high1 - p1, ratio * (p0 - low0))

    found = relative_rate(control, treatment)
    lowest = optimize.brentq(below, 0, p1 / p0)
    highest = optimize.brentq(above, p1 / p0, 1e6)
    assert (found.low + 1, found.high + 1) == pytest.approx((lowest, highest), rel=1e-6)


@given(counts(), counts())
def test_difference_and_relative_lift_agree_on_zero(control: Counts, treatment: Counts) -> None:
    assume(control.successes)
    low, high = newcombe_interval(control, treatment)
    assume(abs(low) > 1e-9 and abs(high) > 1e-9)
    relative = relative_rate(control, treatment)

    assert relative.excludes_zero == (low > 0 or high < 0)
    assert relative.low >= -1


@given(counts(), counts())
@settings(max_examples=40, deadline=None)
def test_swapping_the_arms_mirrors_the_result(control: Counts, treatment: Counts) -> None:
    there = newcombe_difference(control, treatment)
    back = newcombe_difference(treatment, control)

    assert (there.value, there.low, there.high) == pytest.approx(
        (-back.value, -back.high, -back.low)
    )
    assert there.p_value == pytest.approx(back.p_value, rel=1e-6)


@pytest.mark.parametrize(("rate0", "rate1"), [(0.8, 0.9), (0.05, 0.1), (0.1, 0.1)])
def test_newcombe_interval_covers_the_truth_in_small_classes(rate0: float, rate1: float) -> None:
    # All 169 tables of 12 learners an arm, weighted by their probability. The plain z interval
    # covers 66 % at .8 and .9, and 33 % at .05 and .1.
    def chance(successes: int, rate: float) -> float:
        return comb(12, successes) * rate**successes * (1 - rate) ** (12 - successes)

    covered = 0.0
    for one in range(13):
        for other in range(13):
            low, high = newcombe_interval(Counts(one, 12), Counts(other, 12))
            if low <= rate1 - rate0 <= high:
                covered += chance(one, rate0) * chance(other, rate1)

    assert 0.94 <= covered <= 0.999


def test_same_arms_look_different_one_time_in_twenty() -> None:
    # 4,000 seeded A/A trials; five standard errors around .05.
    rng = np.random.default_rng(20250901)
    one, other = rng.binomial(400, 0.3, (2, 4000))
    found = [
        newcombe_difference(Counts(int(a), 400), Counts(int(b), 400))
        for a, b in zip(one, other, strict=True)
    ]

    assert np.mean([each.excludes_zero for each in found]) == pytest.approx(0.05, abs=0.017)
    assert np.mean([each.is_significant for each in found]) == pytest.approx(0.05, abs=0.017)


@pytest.mark.parametrize(
    ("control", "treatment"),
    [(Counts(0, 0), Counts(3, 9)), (Counts(3, 9), Counts(0, 0)), (Counts(0, 0), Counts(0, 0))],
)
def test_an_empty_arm_gives_nan_and_a_reason(control: Counts, treatment: Counts) -> None:
    for found in (
        newcombe_difference(control, treatment),
        relative_rate(control, treatment),
    ):
        assert all(map(isnan, (found.value, found.low, found.high, found.p_value)))
        assert "nobody is counted" in found.reason


def test_a_control_rate_of_zero_has_a_difference_but_no_relative_lift() -> None:
    control, treatment = Counts(0, 20), Counts(4, 20)
    relative = relative_rate(control, treatment)

    assert newcombe_difference(control, treatment).value == pytest.approx(0.2)
    assert isnan(relative.value)
    assert "the control's rate is 0" in relative.reason


@pytest.mark.parametrize("successes", [0, 20])
def test_arms_that_are_alike_to_the_last_learner_keep_an_interval(successes: int) -> None:
    found = newcombe_difference(Counts(successes, 20), Counts(successes, 20))

    assert found.low < 0 < found.high
    assert found.p_value == 1.0


def test_one_learner_an_arm_still_has_an_interval() -> None:
    found = newcombe_difference(Counts(0, 1), Counts(1, 1))

    assert found.low < 0 < found.value < found.high + 1e-12


def test_rare_outcomes_of_large_arms_are_tested_exactly_and_fast() -> None:
    control, treatment = Counts(1, 50_000), Counts(3, 50_000)

    assert rate_test(control, treatment) == ("Fisher exact", fisher_p_value(control, treatment))


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a count"):
        Counts(successes, n)


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_counts_of_parts_add_to_the_counts_of_the_whole(one: list[int], other: list[int]) -> None:
    assert Counts.from_array(one) + Counts.from_array(other) == Counts.from_array(one + other)


@pytest.mark.parametrize("values", [[0, 2], [0.5], [float("nan")], [-1, 1]])
def test_outcomes_other_than_zero_and_one_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        Counts.from_array(values)
