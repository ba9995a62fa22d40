"""Confidence sequences: published bounds, the mixture written out, and looks at every learner."""

from math import exp, isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import norm, t

from experiments.stats.estimate import Estimate, t_estimate, unknown
from experiments.stats.means import welch_difference
from experiments.stats.sequences import (
    best_rho,
    mean_sequence,
    mixture_bound,
    rate_error,
    rate_sequence,
    sequence_interval,
    sequence_multiplier,
)
from experiments.stats.sufficient import Counts, Moments
from tests.examples import examples

COUNTS = st.builds(
    lambda n, share: Counts(round(n * share), n), st.integers(12, 400), st.floats(0, 1)
)


def test_bound_is_the_published_one() -> None:
    # Howard et al. (2021), in the tests of their library confseq.
    assert best_rho(100) == pytest.approx(12.60056, abs=5e-6)
    assert mixture_bound(100, rho=best_rho(100)) == pytest.approx(30.35209, abs=5e-6)


def test_a_sequence_of_another_size_is_twice_as_wide_as_need_be() -> None:
    # Half-widths at 100 learners, tuned to 5,000 and to 100.
    assert sequence_multiplier(100 / 5_000) == pytest.approx(6.7, abs=0.05)
    assert sequence_multiplier(1) == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
@pytest.mark.parametrize("variance", [0.3, 40.0])
def test_bound_is_where_the_mixture_reaches_one_in_alpha(variance: float, level: float) -> None:
    # The martingale exp(l s - l^2 v / 2), averaged over l, which is normal of variance 1 / rho.
    rho = 2.5
    bound = mixture_bound(variance, rho=rho, level=level)

    def weighted(each: float) -> float:
        return exp(each * bound - each * each * variance / 2) * norm.pdf(each, scale=sqrt(1 / rho))

    reach = bound / (variance + rho)
    mixture = integrate.quad(
        weighted, reach - 9 / sqrt(variance + rho), reach + 9 / sqrt(variance + rho)
    )
    assert mixture[0] * (1 - level) == pytest.approx(1, rel=1e-9)


def test_asymptotic_sequence_is_that_of_waudby_smith() -> None:
    # arXiv 2103.06476, theorem 2.2, with rho^2 of theirs one divided by rho of Howard.
    n, tuned, alpha = 70, 200, 0.05
    squared = 1 / best_rho(tuned)
    expected = sqrt(2 * (n * squared + 1) / (n**2 * squared) * log(sqrt(n * squared + 1) / alpha))

    assert sequence_multiplier(n / tuned) / sqrt(n) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=examples(50))
@given(COUNTS, COUNTS, st.sampled_from([0.8, 0.95, 0.99]), st.floats(20, 2_000))
def test_p_value_agrees_with_the_interval_and_arms_mirror(
    control: Counts, treatment: Counts, level: float, tuned: float
) -> None:
    found = rate_sequence(control, treatment, tuned_to=tuned, level=level)
    back = rate_sequence(treatment, control, tuned_to=tuned, level=level)

    assert found.excludes_zero == found.is_significant
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    assert back.p_value == pytest.approx(found.p_value)


def test_an_interval_at_the_level_of_the_p_value_ends_at_zero() -> None:
    # The sequence of another level is another one, so it is written out.
    control, treatment = Counts(20, 100), Counts(45, 110)
    found = rate_sequence(control, treatment, tuned_to=300)

    half = mixture_bound(210, rho=best_rho(300), level=1 - found.p_value) / sqrt(210)
    assert half * found.standard_error == pytest.approx(found.value, rel=1e-9)


def test_error_of_rates_is_that_of_two_learners_more() -> None:
    found = rate_error(Counts(29, 38), Counts(0, 18))
    assert found == pytest.approx(sqrt(0.75 * 0.25 / 20 + 0.05 * 0.95 / 40))

    # The smaller arm varies more, so the separate variances are larger.
    found = rate_error(Counts(0, 38), Counts(14, 18))
    assert found == pytest.approx(sqrt(1 / 40 * 39 / 40 / 40 + 0.75 * 0.25 / 20))


def test_nobody_against_everybody_has_an_interval() -> None:
    found = rate_sequence(Counts(0, 12), Counts(12, 12), tuned_to=60)

    assert (found.value, found.high) == (1.0, 1.0)
    assert 0 < found.low < 1


def test_an_arm_of_few_is_not_trusted_to_vary_little() -> None:
    control, treatment = Moments.from_array([0, 9] * 50), Moments.from_array([1] * 19 + [2])
    found, welch = (
        mean_sequence(control, treatment, tuned_to=120),
        welch_difference(control, treatment),
    )

    pooled = np.sqrt((control.deviations + treatment.deviations) / 118 * (1 / 100 + 1 / 20))
    assert found.standard_error == pytest.approx(pooled)
    assert found.standard_error > welch.standard_error
    swapped = mean_sequence(
        Moments.from_array([0, 9] * 10), Moments.from_array([1] * 99 + [2]), tuned_to=120
    )
    assert swapped.standard_error == pytest.approx(4.5 * sqrt(20 / 19 / 20), rel=1e-3)


def test_few_degrees_of_freedom_widen_a_sequence_by_the_tail_of_t() -> None:
    plain = t_estimate(1.0, 0.4, 9.0, level=0.95, method="CRV3, t of sections")
    found = sequence_interval(plain, n=100, tuned_to=100)

    tail = norm.sf(sequence_multiplier(1.0))
    assert found.high == pytest.approx(1 + t.isf(tail, 9) * 0.4)
    assert found.excludes_zero == found.is_significant
    edge = t_estimate(t.isf(tail, 9), 1.0, 9.0, level=0.95, method="CRV3, t of sections")
    assert sequence_interval(edge, n=100, tuned_to=100).p_value == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (rate_sequence(Counts(0, 0), Counts(5, 20), tuned_to=40), "the control is counted yet"),
        (rate_sequence(Counts(5, 20), Counts(0, 0), tuned_to=40), "this arm is counted yet"),
        (rate_sequence(Counts(5, 20), Counts(5, 11), tuned_to=40), "at least 12 learners"),
        (
            mean_sequence(Moments.from_array([0] * 20), Moments.from_array([1, 2] * 9), tuned_to=9),
            "every outcome in the control is 0",
        ),
        (
            mean_sequence(Moments.from_array([]), Moments.from_array([1, 2] * 9), tuned_to=9),
            "the control is counted yet",
        ),
        (sequence_interval(unknown(0.1, level=0.95, reason=""), n=5, tuned_to=9), "not known"),
        (
            sequence_interval(unknown(0.1, level=0.95, reason="a reason"), n=5, tuned_to=9),
            "a reason",
        ),
    ],
    ids=["no control", "no arm", "few", "all 0", "no outcomes", "no error", "own reason"],
)
def test_without_a_standard_error_there_is_a_reason(found: Estimate, sentence: str) -> None:
    assert isnan(found.low)
    assert isnan(found.p_value)
    assert sentence in found.reason


def test_extreme_effects_have_a_p_value_of_zero_and_no_warning() -> None:
    plain = t_estimate(1e200, 1e-100, 5.0, level=0.95, method="t")
    assert sequence_interval(plain, n=50, tuned_to=50).p_value == 0
