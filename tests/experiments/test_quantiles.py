from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats

from experiments.stats.quantiles import arm_quantile, quantile, quantile_difference
from experiments.stats.sufficient import Frequencies, Moments
from tests.examples import examples
from tests.long import longer

VALUES = st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=30)
SHARES = st.sampled_from([0.25, 0.5, 0.8])


def counted(values: ArrayLike) -> Frequencies:
    return Moments.from_array(values).frequencies


def brute_lower(one: list[float], other: list[float], share: float, tail: float) -> float:
    """Return the lower limit from its definition, with a pair of binomial numbers at a time."""
    ordered, opposite = [-inf, *sorted(one)], [*sorted(other), inf]
    pairs = []
    for i, x in enumerate(ordered):
        for j, y in enumerate(opposite):
            chance = stats.binom.pmf(i, len(one), share) * stats.binom.pmf(j, len(other), share)
            pairs.append((x - y, chance))
    reached = 0.0
    for difference, chance in sorted(pairs):
        reached += chance
        if reached > tail:
            return difference
    raise AssertionError("the chances sum to 1")


def test_limits_of_the_median_are_the_printed_ranks() -> None:
    # Nair (1940), Sankhya 4:551, 95 %: rank from either end for samples of 6, 10, 15, 20 and 25.
    for n, rank in ((6, 1), (10, 2), (15, 4), (20, 6), (25, 8)):
        found = arm_quantile(counted(np.arange(1.0, n + 1)), share=0.5)
        assert (found.low, found.high) == (rank, n + 1 - rank)
    assert "too few" in arm_quantile(counted([1.0, 2, 3, 4, 5]), share=0.5).reason


@pytest.mark.slow
@given(VALUES, SHARES)
def test_quantile_equals_the_sorted_rows(values: list[float], share: float) -> None:
    place = -(-len(values) * round(share * 100) // 100)

    assert quantile(counted(values), share=share) == sorted(values)[place - 1]


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(VALUES, SHARES)
def test_limits_equal_the_binomial_definition(values: list[float], share: float) -> None:
    n, rows = len(values), sorted(values)
    lower = [i for i in range(1, n + 1) if stats.binom.cdf(i - 1, n, share) <= 0.025]
    upper = [i for i in range(1, n + 1) if stats.binom.sf(i - 1, n, share) <= 0.025]
    found = arm_quantile(counted(values), share=share)

    if lower and upper:
        assert (found.low, found.high) == (rows[lower[-1] - 1], rows[upper[0] - 1])
    else:
        assert isnan(found.low)
        assert "too few" in found.reason


@pytest.mark.slow
@settings(max_examples=examples(15))
@given(
    st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=14),
    st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=14),
    SHARES,
)
def test_difference_equals_its_definition(
    control: list[float], treatment: list[float], share: float
) -> None:
    found = quantile_difference(counted(control), counted(treatment), share=share)
    low = brute_lower(treatment, control, share, 0.025)
    high = -brute_lower(control, treatment, share, 0.025)

    if np.isfinite([low, high]).all():
        assert (found.low, found.high) == (low, high)
    else:
        assert not found.has_interval
        assert "too few" in found.reason


@pytest.mark.slow
@given(VALUES, VALUES, SHARES)
def test_swapped_arms_mirror_and_test_agrees_with_interval(
    control: list[float], treatment: list[float], share: float
) -> None:
    there = quantile_difference(counted(control), counted(treatment), share=share)
    back = quantile_difference(counted(treatment), counted(control), share=share)

    assert (there.value, there.low, there.high, there.p_value) == pytest.approx(
        (-back.value, -back.high, -back.low, back.p_value), nan_ok=True
    )
    if there.has_interval:
        assert there.excludes_zero == (there.p_value <= 0.05)


@pytest.mark.slow
def test_many_values_are_grouped_to_nearly_the_same_limits() -> None:
    rng = np.random.default_rng(3)
    arms = [tuple((value, 1) for value in sorted(rng.normal(size=12_000).tolist()))
            for _ in range(2)]  # fmt: skip
    found = quantile_difference(*arms, share=0.5)

    # The normal approximation: the error of a median is sqrt(pi / 2 / n).
    half = 1.96 * np.sqrt(np.pi / 12_000)
    assert found.low == pytest.approx(found.value - half, abs=0.12 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.12 * half)


def test_too_little_has_a_reason() -> None:
    some = counted([1.0, 2, 3])
    assert isnan(quantile((), share=0.5))
    assert "no learner of this arm" in arm_quantile((), share=0.5).reason
    assert "no learner of the control" in quantile_difference((), some, share=0.5).reason
    assert "no learner of this arm" in quantile_difference(some, (), share=0.5).reason
    found = quantile_difference(some, some, share=0.5)
    assert (found.value, found.reason[:7]) == (0, "too few")
    assert not found.has_interval


def test_huge_outcomes_and_counts_are_no_problem() -> None:
    arm = ((-1e308, 10**9), (1e200, 10**9), (1e308, 10**9))
    found = quantile_difference(arm, arm, share=0.5)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert quantile(arm, share=0.9) == 1e308
    assert not quantile_difference(((-1e308, 99),), ((1e308, 99),), share=0.5).has_interval


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile(((1.0, 2),), share=share)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("small", "large"),
    [(8, 8), *longer("test_intervals_hold_the_difference_of_medians", (12, 40))],
)
@pytest.mark.parametrize("kind", ["lognormal", "counts"])
def test_intervals_hold_the_difference_of_medians(kind: str, small: int, large: int) -> None:
    # 500 draws each. The treatment also spreads the outcomes, so it is no mere shift.
    rng = np.random.default_rng(20_250_901)
    true = np.e - 1 if kind == "lognormal" else 4
    held = 0
    for _ in range(500):
        if kind == "lognormal":
            arms = counted(rng.lognormal(0, 1, small)), counted(rng.lognormal(1, 2, large))
        else:
            arms = counted(rng.poisson(2, small)), counted(rng.poisson(6, large))
        found = quantile_difference(*arms, share=0.5)
        held += found.low <= true <= found.high

    assert held / 500 >= 0.95
