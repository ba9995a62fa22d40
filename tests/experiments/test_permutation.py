"""The permutation test of two means, against published numbers, scipy and itself."""

from math import inf, isinf

import numpy as np
import pytest
from scipy import stats

from experiments.stats.means import mean_difference, welch_difference
from experiments.stats.permutation import Shift, permutation_shift
from experiments.stats.sufficient import Frequencies, Moments

pytestmark = pytest.mark.slow

# Survival in days of 7 mice that were treated after surgery and of 9 that were not: Efron and
# Tibshirani (1993), An Introduction to the Bootstrap, table 2.1.
TREATED = [94, 197, 16, 38, 99, 141, 23]
CONTROLS = [52, 104, 146, 10, 51, 30, 40, 27, 46]


def counted(values) -> Frequencies:
    found, times = np.unique(np.asarray(values, dtype=float), return_counts=True)
    return tuple(zip(found.tolist(), times.tolist(), strict=True))


def shift_of(control, treatment, **more) -> Shift:
    return permutation_shift(counted(control), counted(treatment), **more)


def exact_p(control, treatment, alternative="two-sided") -> float:
    """Return scipy's p-value over all permutations."""
    found = stats.permutation_test(
        (treatment, control),
        lambda one, other, axis: one.mean(axis=axis) - other.mean(axis=axis),
        vectorized=True,
        n_resamples=np.inf,
        alternative=alternative,
    )
    return float(found.pvalue)


def test_the_mice_have_the_published_significance_level() -> None:
    # Section 15.2: 132 of 1,000 permutations are as large, with a standard error of .011.
    assert exact_p(CONTROLS, TREATED, "greater") == pytest.approx(0.132, abs=0.022)
    found = shift_of(CONTROLS, TREATED, draws=99_999)
    assert found.p_value == pytest.approx(exact_p(CONTROLS, TREATED), abs=0.012)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.sampled(3)
def test_p_value_equals_that_of_all_permutations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    control, treatment = rng.negative_binomial(1, 0.2, 9), 2 + rng.negative_binomial(1, 0.2, 6)
    found = shift_of(control, treatment, draws=99_999)
    assert found.p_value == pytest.approx(exact_p(control, treatment), abs=0.012)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.sampled(2)
def test_limits_are_the_outermost_shifts_that_are_not_rejected(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    control, treatment = rng.normal(0, 1, 7), rng.normal(1, 2, 6)
    found = shift_of(control, treatment, draws=99_999)
    width = found.high - found.low
    for limit, outward in ((found.low, -1), (found.high, 1)):
        # Independent computation: the test of outcomes moved by a shift close to the limit.
        inside, outside = (
            exact_p(control, treatment - (limit + outward * step * width)) for step in (-0.06, 0.06)
        )
        assert outside < 0.05 < inside


def test_the_interval_excludes_zero_exactly_if_the_test_rejects() -> None:
    rng = np.random.default_rng(20250901)
    told = []
    for _ in range(500):
        sizes, mean = rng.integers(3, 40, 2), rng.choice([0.3, 3.0])
        control, treatment = (rng.negative_binomial(1, 1 / (1 + mean), n) for n in sizes)
        level = float(rng.choice([0.8, 0.9, 0.95]))
        found = shift_of(control, treatment * 2, level=level, draws=199)
        rejects = found.p_value < 1 - level
        assert (found.low > 0 or found.high < 0) == rejects
        told.append(rejects)
    assert 0.1 < np.mean(told) < 0.9


def test_swapped_arms_mirror_the_limits() -> None:
    there, back = shift_of(CONTROLS, TREATED), shift_of(TREATED, CONTROLS)
    # The draws differ, so the limits are equal only up to chance.
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=4)
    assert there.p_value == pytest.approx(back.p_value, abs=0.02)


def test_the_same_data_give_the_same_numbers() -> None:
    assert shift_of(CONTROLS, TREATED) == shift_of(CONTROLS, TREATED)


def test_three_against_three_give_no_interval() -> None:
    found = shift_of([1, 2, 3], [70, 80, 90])
    assert (found.low, found.high) == (-inf, inf)
    estimate = mean_difference(*map(Moments.from_array, ([1, 2, 3], [70, 80, 90])))
    assert estimate.value == 78
    assert not estimate.has_interval
    assert "too few learners" in estimate.reason


def test_one_different_outcome_is_not_a_difference() -> None:
    found = shift_of([1] * 19 + [60], [1] * 20)
    assert found.p_value == 1
    assert found.low <= 0 <= found.high
    assert not isinf(found.low)
    assert not isinf(found.high)


def test_a_small_arm_gets_both_tests_and_a_large_arm_gets_welch() -> None:
    rng = np.random.default_rng(5)
    large, small = rng.negative_binomial(1, 0.2, 5_000), rng.negative_binomial(1, 0.2, 30)
    one, other = Moments.from_array(large), Moments.from_array(small)
    found, welch, shift = (
        mean_difference(one, other), welch_difference(one, other), shift_of(large, small)
    )  # fmt: skip
    assert (found.low, found.high) == (min(welch.low, shift.low), max(welch.high, shift.high))
    assert found.p_value == max(welch.p_value, shift.p_value)
    assert found.test == "permutation and Welch t"
    assert mean_difference(one, one) == welch_difference(one, one)


@pytest.mark.parametrize(
    ("outcomes", "is_thin"),
    [
        pytest.param([1.0, 2.0] * 99, True, id="198 learners"),
        pytest.param([1.0, 2.0] * 100, False, id="200 learners"),
        pytest.param([0.0] * 10_000 + [3.0] * 49, True, id="49 outcomes above 0"),
        pytest.param([0.0] * 10_000 + [3.0] * 50, False, id="50 outcomes above 0"),
        pytest.param([4.0] * 100_000 + [5.0] * 49, True, id="49 of a large arm differ"),
        pytest.param([], False, id="nobody"),
    ],
)
def test_an_arm_is_thin_below_200_learners_or_50_other_outcomes(
    outcomes: list[float], is_thin: bool
) -> None:
    moments = Moments.from_array(outcomes)
    assert moments.is_thin == is_thin
    pairs = Moments.from_frequencies(counted(outcomes))
    assert (pairs.n, pairs.is_thin) == (moments.n, is_thin)
    assert pairs.mean == pytest.approx(moments.mean)
