import csv
import gzip
from collections import Counter
from itertools import combinations
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats

from experiments.stats.ranks import EXACT, NORMAL, brunner_munzel, mann_whitney, superiority
from experiments.stats.sufficient import Frequencies, Moments
from tests.examples import examples
from tests.long import longer

VALUES = st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=25)
# Pain scores on the third day after surgery, Brunner and Munzel (2000), table 1: with and without
# suction of the gas.
WITH = (1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 1, 1)
WITHOUT = (3, 3, 4, 3, 1, 2, 3, 1, 1, 5, 4)


def counted(values: ArrayLike) -> Frequencies:
    return Moments.from_array(values).frequencies


def test_superiority_has_the_printed_numbers_of_the_pain_scores() -> None:
    # The R package lawstat, brunner.munzel.test: probability .788961, interval .5952169 to
    # .9827052, statistic 3.1375, df 17.683, p .005786.
    found = brunner_munzel(counted(WITH), counted(WITHOUT))

    assert (1 + found.value) / 2 == pytest.approx(0.788961, abs=5e-7)
    assert ((1 + found.low) / 2, (1 + found.high) / 2) == pytest.approx(
        (0.5952169, 0.9827052), abs=5e-8
    )
    assert found.statistic == pytest.approx(3.1375, abs=5e-5)
    assert found.df == pytest.approx(17.683, abs=5e-4)
    assert found.p_value == pytest.approx(0.005786, abs=5e-7)


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(VALUES, VALUES)
def test_mann_whitney_equals_scipy(control: list[float], treatment: list[float]) -> None:
    found = mann_whitney(counted(control), counted(treatment))
    if len({*control, *treatment}) == 1:
        assert "the same" in found.reason
        return
    expected = stats.mannwhitneyu(
        treatment, control, method="exact" if found.test == EXACT else "asymptotic"
    )
    assert found.u == expected.statistic
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize(("n0", "n1"), [(1, 1), (1, 5), (4, 3), (5, 5), (2, 8)])
def test_exact_p_values_count_all_orders(n0: int, n1: int) -> None:
    # From the definition: u of every choice of the ranks of the treatment.
    all_u = [sum(chosen) - n1 * (n1 - 1) / 2 for chosen in combinations(range(n0 + n1), n1)]
    middle = n0 * n1 / 2
    for chosen in list(combinations(range(n0 + n1), n1))[::7]:
        u = sum(chosen) - n1 * (n1 - 1) / 2
        others = [rank for rank in range(n0 + n1) if rank not in chosen]
        found = mann_whitney(counted([float(x) for x in others]), counted(np.array(chosen) * 1.0))
        extreme = sum(abs(each - middle) >= abs(u - middle) for each in all_u)
        assert (found.test, found.u) == (EXACT, u)
        assert found.p_value == pytest.approx(extreme / len(all_u), rel=1e-12)


def test_larger_arms_and_ties_use_the_normal_approximation() -> None:
    at_most, more = np.arange(20.0), np.arange(20.0, 41.0)
    assert mann_whitney(counted(at_most), counted(more[:20])).test == EXACT
    assert mann_whitney(counted(at_most), counted(more)).test == NORMAL
    assert mann_whitney(counted([1.0, 2]), counted([2.0, 3])).test == NORMAL


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(VALUES, VALUES)
def test_superiority_counts_pairs_and_equals_scipy(
    control: list[float], treatment: list[float]
) -> None:
    pairs = [np.sign(more - less) for less in control for more in treatment]
    found = superiority(counted(control), counted(treatment))
    assert found.value == pytest.approx(np.mean(pairs), abs=1e-12)

    n0, n1, values = len(control), len(treatment), control + treatment
    if not found.has_interval:
        assert min(n0, n1) < 2 or len(set(values)) == 1
        return
    # The variance without a difference, from the midranks: Lehmann (1975), equation 1.35.
    equal = np.var(stats.rankdata(values), ddof=1) / (n0 * n1) / (n0 + n1)
    assert found.standard_error >= 2 * np.sqrt(equal) * (1 - 1e-9)
    plain = brunner_munzel(counted(control), counted(treatment))
    if not plain.has_interval:
        assert "overlap" in plain.reason
        return
    expected = stats.brunnermunzel(control, treatment)
    assert plain.value == found.value
    assert (plain.statistic, plain.p_value) == pytest.approx(
        (expected.statistic, expected.pvalue), rel=1e-7, abs=1e-12
    )
    assert found.standard_error == pytest.approx(
        max(plain.standard_error, 2 * np.sqrt(equal)), rel=1e-9
    )


@pytest.mark.slow
@given(VALUES, VALUES)
def test_swapped_arms_mirror(control: list[float], treatment: list[float]) -> None:
    test, same = (mann_whitney(counted(one), counted(other))
                  for one, other in ((control, treatment), (treatment, control)))  # fmt: skip
    assert test.p_value == pytest.approx(same.p_value, nan_ok=True)
    there = superiority(counted(control), counted(treatment))
    back = superiority(counted(treatment), counted(control))
    assert (there.value, there.low, there.p_value) == pytest.approx(
        (-back.value, -back.high, back.p_value), abs=1e-12, nan_ok=True
    )


def test_one_extreme_outcome_weighs_no_more_than_another() -> None:
    usual = [float(value) for value in range(30)]
    extreme = [*usual[:-1], 49_854.0]

    assert superiority(counted(usual), counted(extreme)) == superiority(
        counted(usual), counted([*usual[:-1], 29.5])
    )


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        pytest.param([], [1.0, 2.0], "no learner of the control", id="empty control"),
        pytest.param([1.0, 2.0], [], "no learner of this arm", id="empty arm"),
        pytest.param([], [], "no learner of the control", id="both empty"),
        pytest.param([1.0, 1.0], [1.0, 1.0], "the same", id="one value"),
    ],
)
def test_what_is_not_known_has_a_reason(
    control: list[float], treatment: list[float], reason: str
) -> None:
    arms = counted(control), counted(treatment)

    assert reason in mann_whitney(*arms).reason
    assert isnan(mann_whitney(*arms).p_value)
    assert reason in superiority(*arms).reason
    assert not superiority(*arms).has_interval
    assert reason in brunner_munzel(*arms).reason


def test_one_learner_has_a_test_but_no_interval() -> None:
    one, some = counted([5.0]), counted([1.0, 2.0, 3.0, 4.0])

    assert mann_whitney(some, one).p_value == pytest.approx(0.4)
    assert "only one learner of this arm" in superiority(some, one).reason
    assert "only one learner of the control" in superiority(one, some).reason


def test_arms_that_do_not_overlap_have_an_interval() -> None:
    found = superiority(((0.0, 12),), ((1.0, 60),))
    assert (found.value, found.high) == (1, 1)
    assert 0 < found.low < 1


def test_a_million_learners_and_huge_outcomes_are_cheap() -> None:
    arm = ((-1e308, 400_000), (0.0, 10**9), (1e308, 600_000))
    other = ((-1e308, 400_000), (0.0, 10**9), (1e308, 900_000))

    assert mann_whitney(arm, arm).p_value == 1
    assert mann_whitney(arm, other).p_value < 1e-9
    assert superiority(arm, other).excludes_zero


@pytest.mark.slow
@pytest.mark.parametrize(
    ("small", "large"),
    [
        (12, 60),
        *longer(
            "test_equal_arms_look_different_at_most_as_often_as_the_level_says", (12, 12), (25, 75)
        ),
    ],
)
def test_equal_arms_look_different_at_most_as_often_as_the_level_says(
    small: int, large: int
) -> None:
    # 1,000 draws each. Brunner and Munzel's error alone: up to 24 % for Poisson 0.1.
    rng = np.random.default_rng(20_250_901)
    for draw in (
        lambda n: 1.0 * rng.poisson(0.1, n),
        lambda n: 1.0 * rng.negative_binomial(1, 0.2, n),
    ):
        arms = [(counted(draw(small)), counted(draw(large))) for _ in range(1000)]
        assert np.mean([superiority(*pair).excludes_zero for pair in arms]) <= 0.055
        assert np.mean([mann_whitney(*pair).p_value < 0.05 for pair in arms]) <= 0.065


def test_real_arms_of_an_email_trial(shared_data: Path) -> None:
    # Hillstrom (2008): visits differ by 7.659 points. For outcomes of 0 and 1 this is also the
    # chance of more minus the chance of less. Of 64,000 customers, 578 spent something.
    with gzip.open(shared_data / "rct" / "hillstrom.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    arms = [
        [row for row in rows if row["segment"] == name] for name in ("No E-Mail", "Mens E-Mail")
    ]
    visits = [tuple(sorted(Counter(float(row["visit"]) for row in arm).items())) for arm in arms]
    spent = [[float(row["spend"]) for row in arm] for arm in arms]
    of_spent = [tuple(sorted(Counter(arm).items())) for arm in spent]

    assert superiority(*visits).value == pytest.approx(0.07659, abs=5e-6)
    expected = stats.mannwhitneyu(spent[1], spent[0], method="asymptotic")
    found = mann_whitney(*of_spent)
    assert (found.u, found.p_value) == pytest.approx(
        (expected.statistic, expected.pvalue), rel=1e-9
    )
    assert superiority(*of_spent).excludes_zero


@pytest.mark.slow
def test_interval_holds_the_chance_when_the_spreads_differ() -> None:
    # Normal with standard deviations of 1 and 3 and one median: no arm tends to more.
    rng = np.random.default_rng(20_250_901)
    held = 0
    for _ in range(1000):
        found = superiority(counted(rng.normal(size=60)), counted(3 * rng.normal(size=12)))
        held += not found.excludes_zero
    assert held / 1000 >= 0.93
