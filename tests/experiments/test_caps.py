from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.stats.caps import capped, pooled_cap
from experiments.stats.sufficient import Frequencies, Moments
from tests.examples import examples

VALUES = st.lists(st.integers(0, 40).map(float), min_size=1, max_size=40)


def counted(values: list[float]) -> Frequencies:
    return Moments.from_array(values).frequencies


def test_one_extreme_player_no_longer_decides() -> None:
    # The largest number of rounds in the Cookie Cats experiment is 49,854.
    usual = [(float(rounds), 10) for rounds in range(100)]
    control, treatment = tuple(usual), (*usual, (49_854.0, 1))
    cap = pooled_cap([control, treatment], percentile=99.9)
    found = capped(treatment, cap)

    assert cap == 99
    assert found.learners_share == 1 / 1001
    assert found.total_share == pytest.approx((49_854 - 99) / (49_500 + 49_854))
    assert Moments.from_frequencies(treatment).mean > 99
    assert Moments.from_frequencies(found.frequencies).mean < 50


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(VALUES, VALUES, st.sampled_from([1.0, 50.0, 90.0, 99.0, 99.9]))
def test_caps_equal_those_of_the_rows(one: list[float], other: list[float], percent: float) -> None:
    cap = pooled_cap([counted(one), counted(other)], percentile=percent)
    rows = sorted(one + other)
    # In tenths of a percent, so that the position is computed in whole numbers.
    assert cap == rows[-(-len(rows) * round(percent * 10) // 1000) - 1]

    found = capped(counted(one), cap)
    cut = np.minimum(one, cap)
    assert found.frequencies == counted(cut.tolist())
    assert found.learners_share == np.mean(np.array(one) > cap)
    if sum(one):
        assert found.total_share == pytest.approx(1 - cut.sum() / sum(one), abs=1e-12)
    else:
        assert isnan(found.total_share)
        assert found.reason


def test_a_percentile_is_read_as_it_is_written() -> None:
    # 99.9 / 100 as a float is above 0.999, and would be the last of 1,000.
    arm = tuple((float(value), 1) for value in range(1, 1001))

    assert [pooled_cap([arm], percentile=each) for each in (99.9, 99.95, 7.0, 0.1)] == [
        999, 1000, 70, 1,
    ]  # fmt: skip


def test_no_more_learners_are_cut_than_the_percentile_leaves() -> None:
    rng = np.random.default_rng(20_250_901)
    arms = [counted((rng.negative_binomial(1, 0.2, 500) * 1.0).tolist()) for _ in range(2)]
    for percentile in (90, 95, 99):
        cap = pooled_cap(arms, percentile=percentile)
        shares = [capped(arm, cap).learners_share for arm in arms]
        assert sum(shares) / 2 <= 1 - percentile / 100


def test_what_cannot_be_capped_has_a_reason() -> None:
    assert isnan(pooled_cap([(), ()], percentile=99))
    nobody = capped((), pooled_cap([()], percentile=99))
    assert (nobody.frequencies, nobody.reason) == ((), "no learner is counted yet")
    for arm in (((0.0, 9),), ((-3.0, 2), (9.0, 1))):
        found = capped(arm, 5)
        assert isnan(found.total_share)
        assert "not counts" in found.reason
    assert isnan(capped(((1.0, 9),), -1e308).total_share)
    assert capped(((-3.0, 2), (9.0, 1)), 5).frequencies == ((-3.0, 2), (5, 1))


def test_huge_outcomes_are_no_problem() -> None:
    found = capped(((1.0, 3), (1e308, 10**9)), 1e308)
    assert (found.learners_share, found.total_share) == (0, 0)
    assert capped(((1.0, 3), (1e308, 10**9)), 1).total_share == pytest.approx(1)


@pytest.mark.parametrize("percentile", [0, 100, -1, 101])
def test_impossible_percentiles_are_refused(percentile: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        pooled_cap([((1.0, 2),)], percentile=percentile)


def test_a_cap_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        capped(((1.0, 2),), float("nan"))
