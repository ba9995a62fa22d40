from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from experiments.stats.balance import sample_ratio


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
    assert sample_ratio(observed, weights).p_value == pytest.approx(p_value, abs=digits)


def test_an_arm_of_weight_zero_is_no_degree_of_freedom() -> None:
    with_it = sample_ratio([100, 0, 120, 80], [1, 0, 1, 1])

    assert with_it.p_value == sample_ratio([100, 120, 80], [1, 1, 1]).p_value
    assert with_it.expected == (100, 0, 100, 100)


def test_a_large_mismatch_is_an_alarm_and_a_small_one_is_not() -> None:
    assert sample_ratio([821588, 815482], [0.5, 0.5]).is_mismatch
    assert not sample_ratio([100, 120, 80], [1, 1, 1]).is_mismatch


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 9)), min_size=2, max_size=5))
def test_p_value_equals_scipy(pairs: list[tuple[int, int]]) -> None:
    observed, weights = (list(column) for column in zip(*pairs, strict=True))
    expected = np.array(weights) / sum(weights) * sum(observed)

    found = sample_ratio(observed, weights)
    assert found.p_value == pytest.approx(
        scipy_stats.chisquare(observed, expected).pvalue, rel=1e-6
    )


@pytest.mark.parametrize(
    ("observed", "weights", "sentence"),
    [([0, 0], [1, 1], "nobody"), ([5, 0], [1, 0], "one arm"), ([], [], "one arm")],
)
def test_what_cannot_be_tested_is_nan_with_a_reason(
    observed: list[int], weights: list[float], sentence: str
) -> None:
    found = sample_ratio(observed, weights)

    assert isnan(found.p_value)
    assert sentence in found.reason
    assert not found.is_mismatch


def test_fair_draws_raise_no_alarm() -> None:
    rng = np.random.default_rng(20250901)
    alarms = [
        sample_ratio([int(count), 500 - int(count)], [0.5, 0.5]).is_mismatch
        for count in rng.binomial(500, 0.5, 4000)
    ]

    assert sum(alarms) <= 8
