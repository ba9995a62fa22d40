"""Missing outcomes by arm, and Lee's bounds against their definition and resampling."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from experiments.stats.attrition import Arm, lee_bounds, missing_p_value, withholding_reason
from experiments.stats.sufficient import Counts, Moments
from tests.examples import examples

NAMES = ("control", "nudge")
OUTCOMES = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=25)


def arm(outcomes, missing: int = 0) -> Arm:
    return Arm.of([*outcomes, *[float("nan")] * missing])


def test_a_control_without_outcomes_is_not_compared() -> None:
    # 196 of 197 rows of the control have no outcome, and all 774 of the nudge have one.
    reason = withholding_reason(Counts(196, 197), Counts(0, 774), names=NAMES)

    assert reason == (
        "outcomes are missing in 0 of 774 rows of nudge and in 196 of 197 of control, so a "
        "difference may come from the missing rows alone"
    )


@pytest.mark.parametrize(
    ("control", "treatment"),
    [((0, 500), (0, 500)), ((3, 12), (0, 12)), ((50, 500), (70, 500)), ((0, 0), (5, 5))],
    ids=["none", "small class", "one in eighteen draws", "empty arm"],
)
def test_missing_outcomes_that_may_be_chance_withhold_nothing(control, treatment) -> None:
    assert withholding_reason(Counts(*control), Counts(*treatment), names=NAMES) == ""


def test_missing_outcomes_of_small_classes_are_tested_exactly() -> None:
    # Twice the one-sided p-value: scipy's two-sided one orders the tables otherwise.
    expected = 2 * scipy_stats.boschloo_exact([[3, 0], [9, 12]], alternative="greater", n=64).pvalue

    assert missing_p_value(Counts(3, 12), Counts(0, 12)) == pytest.approx(expected, rel=1e-4)
    assert isnan(missing_p_value(Counts(0, 0), Counts(0, 12)))


@pytest.mark.slow
def test_equal_shares_of_missing_outcomes_withhold_one_comparison_in_a_thousand() -> None:
    rng = np.random.default_rng(20250901)
    missing = rng.binomial(400, 0.1, (3_000, 2))
    withheld = sum(
        bool(withholding_reason(Counts(int(one), 400), Counts(int(other), 400), names=NAMES))
        for one, other in missing
    )

    assert withheld <= 9


@settings(max_examples=examples(50))
@given(OUTCOMES, st.integers(5, 25), st.integers(1, 4))
def test_bounds_leave_out_the_highest_or_the_lowest_outcomes(control, size: int, lost: int) -> None:
    # Both arms of 100 learners have `size` outcomes, after `lost` of the treatment are left out.
    rng = np.random.default_rng(size)
    one, other = np.resize(control, size), np.sort(rng.normal(size=size + lost))
    found = lee_bounds(arm(one, 100 - size), arm(other, 100 - size - lost))

    assert found.lower == pytest.approx(other[:size].mean() - one.mean())
    assert found.upper == pytest.approx(other[lost:].mean() - one.mean())
    assert found.trimmed_share == pytest.approx(lost / (size + lost))
    assert found.low < found.lower <= found.upper < found.high


def test_a_part_of_an_outcome_is_trimmed() -> None:
    # Shares of 2 / 4 and 3 / 4: two of three outcomes stay; 3 / 4 and 4 / 4: 2.25 of three.
    found = lee_bounds(Arm(np.array([0.0, 1.0, 2.0]), 4), Arm(np.array([0.0, 1.0, 3.0]), 3))

    assert found.lower == pytest.approx((0 + 1 + 0.25 * 3) / 2.25 - 1)
    assert found.upper == pytest.approx((3 + 1 + 0.25 * 0) / 2.25 - 1)


@settings(max_examples=examples(25))
@given(OUTCOMES, OUTCOMES, st.integers(0, 9), st.integers(0, 9))
def test_swapping_the_arms_mirrors_the_bounds(control, treatment, one: int, other: int) -> None:
    there = lee_bounds(arm(control, one), arm(treatment, other))
    back = lee_bounds(arm(treatment, other), arm(control, one))

    assert (there.lower, there.low) == pytest.approx((-back.upper, -back.high), nan_ok=True)
    assert there.reason == back.reason


@settings(max_examples=examples(25))
@given(OUTCOMES, OUTCOMES)
def test_without_missing_outcomes_both_bounds_are_the_difference(control, treatment) -> None:
    found = lee_bounds(arm(control), arm(treatment))

    value = np.mean(treatment) - np.mean(control)
    assert (found.lower, found.upper) == pytest.approx((value, value))
    variance = sum(Moments.from_array(each).variance / len(each) for each in (control, treatment))
    if variance:
        assert found.high == pytest.approx(value + 1.959964 * np.sqrt(variance), rel=1e-6)


@pytest.mark.parametrize(
    ("control", "treatment", "sentence"),
    [
        (arm([], 5), arm([1, 2]), "fewer than two outcomes of the control"),
        (arm([1, 2]), arm([1], 5), "fewer than two outcomes of this arm"),
        (arm([]), arm([]), "fewer than two outcomes of the control"),
        (arm([1, 2], 98), arm([1, 2, 3], 0), "left after trimming"),
        (arm([1, 1], 1), arm([2, 2, 2]), "no outcome varies"),
    ],
)
def test_bounds_that_cannot_be_computed_are_nan_with_a_reason(control, treatment, sentence) -> None:
    found = lee_bounds(control, treatment)

    assert sentence in found.reason
    assert isnan(found.low)
    assert isnan(found.high)


@pytest.mark.parametrize("bad", [1e200, float("-inf")])
def test_outcomes_too_large_for_their_square_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="1e100"):
        Arm.of([1.0, bad])


def lost_by_arm(rng: np.random.Generator, size: int) -> tuple[Arm, Arm]:
    """Return arms with an effect of .3, in which the treatment keeps learners with low outcomes."""
    outcomes, is_stayer = rng.normal(size=(2, size)), rng.random((2, size)) < 0.7
    is_lost = ~is_stayer[0] & (outcomes[0] < 0.5)
    return (
        Arm.of(np.where(is_lost, np.nan, outcomes[0])),
        Arm.of(outcomes[1] + 0.3),
    )


@pytest.mark.slow
def test_errors_of_the_bounds_are_those_of_new_samples() -> None:
    # Second way: the spread of the bounds over 1,500 seeded samples of one population.
    rng = np.random.default_rng(8)
    found = [lee_bounds(*lost_by_arm(rng, 300)) for _ in range(1_500)]

    spread = np.std([each.lower for each in found]), np.std([each.upper for each in found])
    # With bounds this far apart the interval goes 1.645 errors beyond them.
    errors = (
        np.mean([each.lower - each.low for each in found]) / 1.6449,
        np.mean([each.high - each.upper for each in found]) / 1.6449,
    )
    assert errors == pytest.approx(spread, rel=0.06)


@pytest.mark.slow
def test_interval_covers_the_effect_on_those_who_are_never_lost() -> None:
    rng = np.random.default_rng(9)
    found = [lee_bounds(*lost_by_arm(rng, 200)) for _ in range(800)]

    assert np.mean([each.low <= 0.3 <= each.high for each in found]) > 0.93
