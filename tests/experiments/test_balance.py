from math import isnan

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from experiments.reporting.verdict import balance_text
from experiments.stats.balance import Balance, chi_square_p_value, log_marginal, sample_ratio


@pytest.mark.parametrize(
    ("observed", "weights", "p_value", "digits"),
    [
        # Published in the tests of gbstats (GrowthBook) and in the literature on sample ratios.
        ([821588, 815482], [0.5, 0.5], 1.8218e-6, 5e-11),
        ([100, 120, 80], [1, 1, 1], 0.018316, 5e-7),
        ([700, 320], [0.7, 0.3], 0.33878, 5e-6),
    ],
    ids=["half and half", "three arms", "seventy thirty"],
)
def test_p_values_are_the_published_ones(
    observed: list[int], weights: list[float], p_value: float, digits: float
) -> None:
    shares = [weight / sum(weights) for weight in weights]

    assert chi_square_p_value(observed, shares) == pytest.approx(p_value, abs=digits)
    assert sample_ratio(observed, weights).p_value == pytest.approx(p_value, rel=0.05)


def test_an_arm_with_weight_zero_is_not_a_degree_of_freedom() -> None:
    with_it = sample_ratio([100, 0, 120, 80], [1, 0, 1, 1])

    assert with_it.p_value == sample_ratio([100, 120, 80], [1, 1, 1]).p_value
    assert with_it.expected == (100, 0, 100, 100)


def test_a_large_mismatch_is_an_alarm_and_a_small_one_is_not() -> None:
    assert sample_ratio([821588, 815482], [0.5, 0.5]).is_mismatch
    assert not sample_ratio([100, 120, 80], [1, 1, 1]).is_mismatch


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 9)), min_size=2, max_size=5))
@pytest.mark.slow
def test_p_value_equals_scipy(pairs: list[tuple[int, int]]) -> None:
    observed, weights = (list(column) for column in zip(*pairs, strict=True))
    expected = np.array(weights) / sum(weights) * sum(observed)

    assume(expected.min() >= 5)
    found = chi_square_p_value(observed, list(np.array(weights) / sum(weights)))
    assert found == pytest.approx(scipy_stats.chisquare(observed, expected).pvalue, rel=1e-6)


@pytest.mark.parametrize(
    ("observed", "weights", "sentence"),
    [([0, 0], [1, 1], "no learner"), ([5, 0], [1, 0], "one arm"), ([], [], "one arm")],
)
def test_sizes_that_cannot_be_tested_give_nan_with_a_reason(
    observed: list[int], weights: list[float], sentence: str
) -> None:
    found = sample_ratio(observed, weights)

    assert isnan(found.p_value)
    assert sentence in found.reason
    assert not found.is_mismatch


@pytest.mark.slow
def test_fair_draws_raise_no_alarm() -> None:
    rng = np.random.default_rng(20250901)
    alarms = [
        sample_ratio([int(count), 500 - int(count)], [0.5, 0.5]).is_mismatch
        for count in rng.binomial(500, 0.5, 4000)
    ]

    assert sum(alarms) <= 8


def test_evidence_after_each_learner_is_the_published_one() -> None:
    # Lindon and Malek (arXiv 2011.03567): shares .4, .4, .2, prior 1, 1, 1, learners a b a b c.
    published = [-1.0986123, -2.4849066, -3.4011974, -4.4998097, -6.4457198]
    counts = [0, 0, 0]
    for arm, expected in zip((0, 1, 0, 1, 2), published, strict=True):
        counts[arm] += 1
        assert log_marginal(counts, [1, 1, 1]) == pytest.approx(expected, abs=5e-8)


def test_the_first_two_learners_in_the_small_arm_are_no_alarm() -> None:
    # With weights .05 and .95 the probability is .05 * .05, at one look of many.
    found = sample_ratio([2, 0], [0.05, 0.95])

    assert found.p_value == pytest.approx(0.0025)
    assert found.state is Balance.CONSISTENT


@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.5, 0.2, 1 / 3, 0.95]))
def test_p_value_of_two_arms_equals_the_binomial_test(seen: int, other: int, share: float) -> None:
    expected = scipy_stats.binomtest(seen, seen + other, share).pvalue
    found = sample_ratio([seen, other], [share, 1 - share])

    assert (found.p_value, found.test) == (pytest.approx(expected, rel=1e-9), "exact binomial")


def test_large_arms_are_tested_exactly_too() -> None:
    expected = scipy_stats.binomtest(821588, 821588 + 815482, 0.5).pvalue

    assert sample_ratio([821588, 815482], [1, 1]).p_value == pytest.approx(expected, rel=1e-6)


def test_p_value_of_three_arms_sums_the_sizes_that_are_as_rare() -> None:
    model = scipy_stats.multinomial(30, [0.5, 0.3, 0.2])
    chances = [model.pmf((a, b, 30 - a - b)) for a in range(31) for b in range(31 - a)]
    seen = model.pmf((20, 4, 6))
    found = sample_ratio([20, 4, 6], [5, 3, 2])

    assert found.p_value == pytest.approx(sum(p for p in chances if p <= seen * (1 + 1e-7)))
    assert found.test == "exact multinomial"


def test_three_arms_of_many_learners_are_tested_by_chi_square() -> None:
    found = sample_ratio([1000, 1000, 1100], [1, 1, 1])

    assert found.test == "chi-square"
    assert found.p_value == chi_square_p_value([1000, 1000, 1100], [1 / 3] * 3)


def test_sizes_that_one_fair_draw_in_110_gives_are_a_surprise_and_no_alarm() -> None:
    found = sample_ratio([1000, 1120], [0.5, 0.5])

    assert found.state is Balance.SURPRISE
    assert "occur in about one of 100 fair draws (p = 0.010)" in balance_text(found)


def test_learners_in_an_arm_that_draws_nobody_are_an_alarm() -> None:
    found = sample_ratio([100, 40, 100], [0.5, 0, 0.5])

    assert found.state is Balance.MISMATCH
    assert balance_text(found).startswith("40 learners are in an arm with weight 0")


def test_a_draw_that_loses_a_fifth_of_an_arm_is_found_within_weeks() -> None:
    rng = np.random.default_rng(7)
    kept = rng.binomial(1_000, 0.8, 200)

    assert sum(sample_ratio([1_000, int(each)], [1, 1]).is_mismatch for each in kept) > 150
