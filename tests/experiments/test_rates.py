from math import isnan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from experiments.stats.rates import (
    EXACT,
    PLAUSIBLE,
    SCORE,
    rate_difference,
    rate_test,
    relative_rate,
)
from experiments.stats.score import (
    score_difference_limits,
    score_p_value,
    score_ratio_limits,
    score_statistic,
)
from experiments.stats.sufficient import Counts
from tests.examples import examples

HILLSTROM_NONE = Counts(2262, 21306)
HILLSTROM_MENS = Counts(3894, 21307)


@st.composite
def counts(draw: st.DrawFn, least: int = 1, most: int = 60) -> Counts:
    n = draw(st.integers(least, most))
    return Counts(draw(st.integers(0, n)), n)


@pytest.mark.parametrize(
    ("control", "treatment", "limits"),
    [
        # Newcombe (1998), Statistics in Medicine 17:873, Table II, method 6 (Miettinen-Nurminen),
        # examples (a), (b), (c), (e), (f), (g) and (h).
        (Counts(48, 80), Counts(56, 70), (0.0528, 0.3382)),
        (Counts(3, 10), Counts(9, 10), (0.1700, 0.8406)),
        (Counts(2, 7), Counts(6, 7), (0.0342, 0.8534)),
        (Counts(0, 29), Counts(5, 56), (-0.0326, 0.1933)),
        (Counts(0, 20), Counts(0, 10), (-0.1658, 0.2844)),
        (Counts(0, 10), Counts(0, 10), (-0.2879, 0.2879)),
        (Counts(0, 20), Counts(10, 10), (0.7156, 1.0000)),
        (Counts(0, 10), Counts(10, 10), (0.6636, 1.0000)),
    ],
    ids=lambda value: f"{value.successes}of{value.n}" if isinstance(value, Counts) else "",
)
def test_score_limits_are_the_published_ones(
    control: Counts, treatment: Counts, limits: tuple[float, float]
) -> None:
    assert score_difference_limits(control, treatment, level=0.95) == pytest.approx(
        limits, abs=5.1e-5
    )


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
    assert rate_test(control, treatment)[0] == SCORE


@given(counts(least=20), counts(least=20))
@pytest.mark.slow
def test_score_statistic_is_the_pooled_z_of_statsmodels(control: Counts, treatment: Counts) -> None:
    n = control.n + treatment.n
    assume(0 < control.successes + treatment.successes < n)
    z, _ = proportions_ztest([treatment.successes, control.successes], [treatment.n, control.n])

    # The pooled z uses N where Miettinen and Nurminen use N - 1.
    assert score_statistic(control, treatment) == pytest.approx(z * np.sqrt((n - 1) / n))


@pytest.mark.slow
@given(counts(), counts(), st.sampled_from([0.8, 0.95, 0.99]))
def test_score_limits_agree_with_numerically_found_likeliest_rates(
    control: Counts, treatment: Counts, level: float
) -> None:
    # Independent computation: a numerical search for the likeliest rates that differ by the limit.
    # statsmodels 0.15 cannot be used: its likeliest rates leave 0..1 (its issue 10269).
    z = scipy_stats.norm.ppf((1 + level) / 2)
    n0, n1 = control.n, treatment.n
    for sign, limit in zip((1, -1), score_difference_limits(control, treatment, level=level),
                           strict=True):  # fmt: skip
        if abs(limit) > 1 - 1e-9:
            continue
        rate0, rate1 = likeliest(control, treatment, limit)
        spread = np.sqrt(
            (rate0 * (1 - rate0) / n0 + rate1 * (1 - rate1) / n1) * (n0 + n1) / (n0 + n1 - 1)
        )
        apart = treatment.rate - control.rate - limit
        assert sign * apart == pytest.approx(z * spread, abs=2e-4)


def likeliest(control: Counts, treatment: Counts, difference: float) -> tuple[float, float]:
    def loss(rate: float) -> float:
        return -float(
            scipy_stats.binom.logpmf(control.successes, control.n, rate)
            + scipy_stats.binom.logpmf(treatment.successes, treatment.n, rate + difference)
        )

    bounds = (max(0.0, -difference), min(1.0, 1.0 - difference))
    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    rate = min([float(found.x), *bounds], key=loss)
    return rate, rate + difference


@given(counts(least=5), counts(least=5))
@pytest.mark.slow
def test_score_limits_of_the_ratio_equal_statsmodels(control: Counts, treatment: Counts) -> None:
    # statsmodels returns complex numbers if a rate is 0 or 1.
    assume(0 < control.successes < control.n)
    assume(0 < treatment.successes < treatment.n)
    expected = confint_proportions_2indep(
        treatment.successes, treatment.n, control.successes, control.n,
        compare="ratio", method="score",
    )  # fmt: skip

    found = score_ratio_limits(control, treatment, level=0.95)
    assert found == pytest.approx(expected, rel=1e-6)


def test_relative_lift_of_a_large_trial_equals_the_delta_method() -> None:
    # Independent computation: the delta method on the log ratio (Katz), which agrees in large arms.
    found = relative_rate(HILLSTROM_NONE, HILLSTROM_MENS)
    low, high = confint_proportions_2indep(3894, 21307, 2262, 21306, compare="ratio", method="log")

    assert found.value == pytest.approx(3894 / 21307 / (2262 / 21306) - 1)
    assert (found.low, found.high) == pytest.approx((low - 1, high - 1), abs=5e-4)


def test_a_rate_of_one_does_not_collapse_the_interval() -> None:
    # Fisher's exact test gives p = .0012 for 20/20 against 11/20. Boschloo's is at least as strong.
    control, treatment = Counts(11, 20), Counts(20, 20)
    found = rate_difference(control, treatment)

    assert scipy_stats.fisher_exact([[20, 11], [0, 9]]).pvalue == pytest.approx(0.0012, abs=5e-5)
    assert (found.test, found.p_value < 0.0012) == (EXACT, True)
    assert 0.15 < found.low < 0.3 < 0.6 < found.high < 0.8


@pytest.mark.slow
@given(counts(most=30), counts(most=30), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=examples(60), deadline=None)
def test_small_arms_test_and_intervals_never_disagree(
    control: Counts, treatment: Counts, level: float
) -> None:
    agree(control, treatment, level)


@pytest.mark.slow
@given(counts(most=5000), counts(least=101, most=5000), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=examples(60), deadline=None)
def test_large_arms_test_and_intervals_never_disagree(
    control: Counts, treatment: Counts, level: float
) -> None:
    assume(control.n > 100)
    agree(control, treatment, level)


def agree(control: Counts, treatment: Counts, level: float) -> None:
    difference = rate_difference(control, treatment, level=level)
    relative = relative_rate(control, treatment, level=level)
    assert difference.excludes_zero == difference.is_significant
    if difference.has_interval:
        assert -1 <= difference.low <= difference.value <= difference.high <= 1
    if relative.has_interval:
        assert relative.excludes_zero == difference.excludes_zero
        assert relative.p_value == difference.p_value
        assert -1 <= relative.low <= relative.value <= relative.high


def test_interval_and_test_agree_where_newcombe_disagreed() -> None:
    # For this table Newcombe's interval included zero although the score test rejected.
    found = rate_difference(Counts(3, 30), Counts(17, 60))

    assert found.excludes_zero == found.is_significant


@pytest.mark.slow
@given(counts(most=60), counts(most=60))
@settings(max_examples=examples(40), deadline=None)
def test_swapping_the_arms_mirrors_the_result(control: Counts, treatment: Counts) -> None:
    there = rate_difference(control, treatment)
    back = rate_difference(treatment, control)
    assume(there.has_interval)

    assert (there.value, there.low, there.high) == pytest.approx(
        (-back.value, -back.high, -back.low), abs=1e-5
    )
    assert there.p_value == pytest.approx(back.p_value, rel=1e-6)


@pytest.mark.slow
@given(counts(most=60), counts(most=60))
@settings(max_examples=examples(40), deadline=None)
def test_counting_the_opposite_outcome_mirrors_the_result(
    control: Counts, treatment: Counts
) -> None:
    there = rate_difference(control, treatment)
    back = rate_difference(without(control), without(treatment))
    assume(there.has_interval)

    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-5)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-6)


def without(found: Counts) -> Counts:
    return Counts(found.n - found.successes, found.n)


def test_equal_arms_differ_one_time_in_twenty() -> None:
    # 4,000 seeded A/A trials; five standard errors around .05.
    rng = np.random.default_rng(20250901)
    one, other = rng.binomial(400, 0.3, (2, 4000))
    shown = [
        score_p_value(Counts(int(a), 400), Counts(int(b), 400)) < 0.05
        for a, b in zip(one, other, strict=True)
    ]

    assert np.mean(shown) == pytest.approx(0.05, abs=0.017)


@pytest.mark.parametrize(
    ("control", "treatment"),
    [(Counts(0, 0), Counts(3, 9)), (Counts(3, 9), Counts(0, 0)), (Counts(0, 0), Counts(0, 0))],
)
def test_an_empty_arm_gives_nan_and_a_reason(control: Counts, treatment: Counts) -> None:
    for found in (
        rate_difference(control, treatment),
        relative_rate(control, treatment),
    ):
        assert all(map(isnan, (found.value, found.low, found.high, found.p_value)))
        assert "is counted yet" in found.reason


def test_a_control_rate_of_zero_has_a_difference_but_no_relative_lift() -> None:
    control, treatment = Counts(0, 20), Counts(4, 20)
    relative = relative_rate(control, treatment)

    assert rate_difference(control, treatment).value == pytest.approx(0.2)
    assert isnan(relative.value)
    assert "the control's rate is 0" in relative.reason


@pytest.mark.parametrize("n", [20, 500])
@pytest.mark.parametrize("share", [0, 1])
def test_identical_arms_have_an_interval(share: int, n: int) -> None:
    found = rate_difference(Counts(share * n, n), Counts(share * n, n))

    assert found.low < 0 < found.high
    assert found.p_value == 1.0


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_learners_rule_nothing_out(n: int) -> None:
    # Newcombe's interval "ruled out" a fall of more than 12.2 points with one learner per arm.
    for control, treatment in ((Counts(0, n), Counts(n, n)), (Counts(n, n), Counts(n, n))):
        for found in (rate_difference(control, treatment), relative_rate(control, treatment)):
            assert not found.has_interval
            assert isnan(found.p_value)
            assert found.reason
    assert rate_difference(Counts(0, 3), Counts(3, 3)).has_interval


@pytest.mark.parametrize(
    ("control", "treatment"),
    [(Counts(1, 50_000), Counts(3, 50_000)), (Counts(0, 1000), Counts(1, 200)),
     (Counts(49_999, 50_000), Counts(49_997, 50_000))],
    ids=["rare", "one", "nearly all"],
)  # fmt: skip
def test_rare_outcomes_of_large_arms_are_tested_exactly(control: Counts, treatment: Counts) -> None:
    found = rate_difference(control, treatment)

    # With so many tables only plausible rates are searched, and the name says so.
    assert (found.test, found.method) == (PLAUSIBLE, "inverted Boschloo, Berger-Boos")
    assert not found.is_significant
    assert found.low < 0 < found.high


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="not a count"):
        Counts(successes, n)


@pytest.mark.slow
@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_counts_of_parts_add_to_the_counts_of_the_whole(one: list[int], other: list[int]) -> None:
    assert Counts.from_array(one) + Counts.from_array(other) == Counts.from_array(one + other)


@pytest.mark.parametrize("values", [[0, 2], [0.5], [float("nan")], [-1, 1]])
def test_outcomes_other_than_zero_and_one_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        Counts.from_array(values)
