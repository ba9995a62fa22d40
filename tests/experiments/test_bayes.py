from math import inf, isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.stats.bayes import PRIOR_SPREAD, belief
from experiments.stats.estimate import UNKNOWN, Estimate, unknown
from experiments.stats.means import welch_difference
from experiments.stats.sufficient import Moments
from tests.examples import examples


def estimate(value: float, error: float, *, level: float = 0.95) -> Estimate:
    return Estimate(value, UNKNOWN, UNKNOWN, UNKNOWN, level, "normal", "none", standard_error=error)


def test_a_flat_prior_gives_the_published_numbers() -> None:
    # gbstats, 49 of 100 against 51 of 100, relative: .04082 (-.24779, .32943), chance .60918. Its
    # error is that of the delta method, with p (1 - p) as the variance of an outcome.
    control, treatment = 0.49, 0.51
    lift = treatment / control - 1
    error = sqrt((0.51 * 0.49 + (treatment / control) ** 2 * 0.49 * 0.51) / 100) / control
    found = belief(estimate(lift, error), prior_spread=inf)

    assert found.mean == pytest.approx(0.04082, abs=5e-6)
    assert (found.low, found.high) == pytest.approx((-0.24779, 0.32943), abs=5e-6)
    assert found.chance_above == pytest.approx(0.60918, abs=5e-6)


def test_a_prior_as_wide_as_the_error_halves_the_effect() -> None:
    found = belief(estimate(0.2, PRIOR_SPREAD), prior_spread=PRIOR_SPREAD)

    assert (found.mean, found.spread) == pytest.approx((0.1, PRIOR_SPREAD / sqrt(2)))


@pytest.mark.slow
@settings(max_examples=examples(30))
@given(st.floats(-3, 3), st.floats(0.5, 2), st.floats(0.5, 2), st.sampled_from([0.8, 0.95]))
def test_posterior_equals_prior_times_likelihood(
    value: float, error: float, prior: float, level: float
) -> None:
    # From the definition, on a grid with steps of 0.0025.
    grid = np.linspace(-25, 25, 20_001)
    density = np.exp(-((value - grid) ** 2) / (2 * error**2) - grid**2 / (2 * prior**2))
    density /= density.sum()
    found = belief(estimate(value, error, level=level), prior_spread=prior)

    assert found.mean == pytest.approx(density @ grid, rel=1e-9, abs=1e-9)
    assert found.spread == pytest.approx(sqrt(density @ (grid - found.mean) ** 2), rel=1e-9)
    assert found.chance_above == pytest.approx(
        density[grid > 0].sum() + density[grid == 0].sum() / 2, abs=1e-5
    )
    inside = density[(grid >= found.low) & (grid <= found.high)].sum()
    assert inside == pytest.approx(level, abs=0.02)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_swapped_arms_mirror(value: float, error: float, prior: float) -> None:
    there = belief(estimate(value, error), prior_spread=prior)
    back = belief(estimate(-value, error), prior_spread=prior)

    assert (there.mean, there.low, there.high) == (-back.mean, -back.high, -back.low)
    assert there.chance_above == pytest.approx(1 - back.chance_above, abs=1e-12)


def test_welchs_difference_has_a_belief_and_a_missing_one_keeps_its_reason() -> None:
    arms = [Moments.from_array(values) for values in ([1, 2, 4, 4], [3, 4, 6, 7])]
    found = belief(welch_difference(*arms), prior_spread=inf)
    assert found.mean == 2.25

    alone = welch_difference(Moments.from_array([1.0]), arms[1])
    assert belief(alone, prior_spread=1).reason == alone.reason
    nothing = belief(unknown(0.5, level=0.9, reason=""), prior_spread=1)
    assert (nothing.reason, nothing.level) == ("the estimate has no standard error", 0.9)
    assert isnan(nothing.mean)
    assert isnan(nothing.chance_above)


@pytest.mark.parametrize(
    ("error", "prior"), [(1e200, 1e-200), (1e-200, 1e200), (1e200, 1e200), (5e-324, 1.0)]
)
def test_very_large_and_small_numbers_are_no_problem(error: float, prior: float) -> None:
    found = belief(estimate(error, error), prior_spread=prior)

    assert 0 <= found.mean <= error
    assert 0.5 <= found.chance_above <= 1


@pytest.mark.parametrize("prior", [0.0, -1.0, UNKNOWN])
def test_a_prior_without_a_spread_is_refused(prior: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        belief(estimate(1, 1), prior_spread=prior)


def test_the_chance_holds_in_experiments_drawn_from_the_prior() -> None:
    # Of effects that were believed to be above 0 with a chance of 80 to 90 %, that many are.
    rng = np.random.default_rng(20_250_901)
    effects = rng.normal(0, PRIOR_SPREAD, 4000)
    chances = np.array([
        belief(estimate(value, 0.15), prior_spread=PRIOR_SPREAD).chance_above
        for value in rng.normal(effects, 0.15)
    ])  # fmt: skip
    chosen = (chances > 0.8) & (chances < 0.9)
    assert np.mean(effects[chosen] > 0) == pytest.approx(chances[chosen].mean(), abs=0.03)
