"""The complier effect: against two-stage least squares, its own equation, and simulation."""

from math import isnan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.sandbox.regression.gmm import IV2SLS

from experiments.stats.compliance import (
    ExposedSection,
    complier_effect,
    complier_effect_of_sections,
)
from experiments.stats.estimate import t_quantile
from experiments.stats.joint import JointMoments
from experiments.stats.means import welch_difference
from experiments.stats.sections import Section, section_difference
from experiments.stats.sufficient import Moments
from tests.examples import examples

SEEDS = st.integers(0, 10_000)


def draw(rng: np.random.Generator, size: int, exposed: float, effect: float = 1.0) -> np.ndarray:
    """Return outcomes and exposures. Learners who would be exposed have better outcomes anyway."""
    exposure = (rng.random(size) < exposed).astype(float)
    return np.stack([rng.normal(size=size) + (0.5 + effect) * exposure, exposure])


def sums(arm) -> JointMoments:
    return JointMoments.from_columns(*arm)


@settings(max_examples=examples(25))
@given(SEEDS, st.integers(10, 40), st.integers(10, 40))
def test_value_is_that_of_two_stage_least_squares(seed: int, n0: int, n1: int) -> None:
    rng = np.random.default_rng(seed)
    control, treatment = draw(rng, n0, 0.1), draw(rng, n1, 0.8)
    assume(treatment[1].mean() != control[1].mean())
    found = complier_effect(sums(control), sums(treatment))

    outcome, exposure = np.concatenate([control, treatment], axis=1)
    one, arm = np.ones(n0 + n1), np.repeat([0.0, 1.0], [n0, n1])
    fit = IV2SLS(outcome, np.column_stack([one, exposure]), np.column_stack([one, arm])).fit()
    assert found.value == pytest.approx(fit.params[1], rel=1e-9)


@settings(max_examples=examples(25))
@given(SEEDS, st.integers(10, 40), st.integers(10, 40))
def test_at_each_limit_the_rest_of_the_outcome_just_differs_by_arm(seed, n0: int, n1: int) -> None:
    rng = np.random.default_rng(seed)
    arms = draw(rng, n0, 0.1), draw(rng, n1, 0.8)
    found = complier_effect(*map(sums, arms))
    assume(found.has_interval)

    for limit in (found.low, found.high):
        rest = welch_difference(*(Moments.from_array(y - limit * d) for y, d in arms))
        # With the degrees of freedom of the outcome's own test.
        assert abs(rest.statistic) == pytest.approx(t_quantile(found.df, 0.95), rel=1e-6)
    assert found.excludes_zero == found.is_significant


def test_with_full_exposure_it_is_the_difference_between_the_arms() -> None:
    rng = np.random.default_rng(1)
    control, treatment = draw(rng, 30, 0.0), draw(rng, 40, 1.0)
    found = complier_effect(sums(control), sums(treatment))

    expected = welch_difference(*(Moments.from_array(arm[0]) for arm in (control, treatment)))
    assert (found.value, found.low, found.high, found.p_value) == pytest.approx(
        (expected.value, expected.low, expected.high, expected.p_value)
    )


@settings(max_examples=examples(25))
@given(SEEDS)
def test_swapping_the_arms_changes_nothing(seed: int) -> None:
    # The outcome's and the exposure's differences both change their sign.
    rng = np.random.default_rng(seed)
    arms = sums(draw(rng, 20, 0.1)), sums(draw(rng, 25, 0.8))
    there, back = complier_effect(*arms), complier_effect(*reversed(arms))

    assert (there.value, there.low, there.p_value) == pytest.approx(
        (back.value, back.low, back.p_value), nan_ok=True
    )


def test_a_weak_difference_in_exposure_gives_no_limit() -> None:
    outcomes = np.random.default_rng(2).normal(size=(2, 20))
    exposed = [np.arange(20) < number for number in (8, 11)]
    found = complier_effect(*map(sums, zip(outcomes, exposed, strict=True)))

    assert not isnan(found.value)
    assert isnan(found.low)
    assert "has no limit" in found.reason
    # The test of the outcome is valid all the same.
    assert 0 < found.p_value <= 1


@pytest.mark.parametrize(
    ("control", "treatment", "sentence"),
    [
        ([[], []], [[1, 2], [1, 1]], "no learner of the control"),
        ([[1], [0]], [[1, 2], [1, 1]], "only one learner of the control"),
        ([[1, 2], [0, 1]], [[1, 3], [0, 1]], "do not differ in exposure"),
        ([[1, 1], [0, 0]], [[2, 2], [1, 1]], "no outcome varies"),
        ([[0, 0], [0, 0]], [[2, 3], [1, 1]], "every outcome in the control is 0"),
    ],
)
def test_an_effect_that_cannot_be_computed_is_nan_with_a_reason(
    control, treatment, sentence: str
) -> None:
    found = complier_effect(sums(control), sums(treatment))

    assert sentence in found.reason
    assert all(map(isnan, (found.low, found.high)))


def drawn(rng: np.random.Generator, number: int, exposed: float = 0.7) -> list[ExposedSection]:
    found = []
    for each in range(2 * number):
        is_treated = each % 2 == 1
        arm = draw(rng, int(rng.integers(10, 31)), exposed if is_treated else 0.05)
        arm[0] += rng.normal(0, 0.4)
        found.append(ExposedSection(sums(arm), is_treated))
    return found


@settings(max_examples=examples(25))
@given(SEEDS, st.integers(3, 8))
def test_limits_of_sections_solve_the_equation_of_sections(seed: int, number: int) -> None:
    sections = drawn(np.random.default_rng(seed), number)
    found = complier_effect_of_sections(sections)
    assume(found.has_interval)

    for limit in (found.low, found.high):
        rest = section_difference(
            [Section(each.sums.combined(1, -limit), each.is_treated) for each in sections]
        ).difference
        assert abs(rest.statistic) == pytest.approx(t_quantile(found.df, 0.95), rel=1e-6)
        assert found.df == pytest.approx(2 * number - 1)


def test_value_of_sections_is_that_of_their_learners() -> None:
    sections = drawn(np.random.default_rng(3), 4)
    found = complier_effect_of_sections(sections)

    arms = [
        sum(
            (each.sums for each in sections if each.is_treated == arm),
            start=JointMoments(0, (0.0, 0.0), ((0.0, 0.0), (0.0, 0.0))),
        )
        for arm in (False, True)
    ]
    assert found.value == pytest.approx(complier_effect(*arms).value)


def test_one_section_in_an_arm_gives_a_reason() -> None:
    found = complier_effect_of_sections(drawn(np.random.default_rng(4), 1))

    assert not isnan(found.value)
    assert "only one section of the control" in found.reason
    assert "no section" in complier_effect_of_sections([]).reason


@pytest.mark.slow
def test_limits_cover_the_effect_also_with_a_weak_difference_in_exposure() -> None:
    # 1,500 seeded trials with exposures of .1 and .25. An interval without limits covers all.
    rng = np.random.default_rng(20250901)
    covered = []
    for _ in range(1_500):
        found = complier_effect(sums(draw(rng, 120, 0.1)), sums(draw(rng, 120, 0.25)))
        covered.append(not found.has_interval or found.low <= 1.5 <= found.high)

    assert np.mean(covered) > 0.93
