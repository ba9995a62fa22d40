"""Arms of whole sections: against the jackknife and the matrices written out, scipy, simulation."""

from itertools import combinations
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from experiments.stats.power import design_effect
from experiments.stats.randomization import DRAWS, randomization_test
from experiments.stats.sections import (
    Section,
    by_section,
    intraclass_correlation,
    section_df,
    section_difference,
)
from experiments.stats.sufficient import Moments
from tests.examples import examples

CLASS = st.lists(st.integers(-9, 9), min_size=1, max_size=6)
ARM = st.lists(CLASS, min_size=2, max_size=5)


def sections_of(control, treatment, strata="") -> list[Section]:
    classes = [*((each, False) for each in control), *((each, True) for each in treatment)]
    strata = strata or [""] * len(classes)
    return [
        Section(Moments.from_array(each), is_treated, stratum)
        for (each, is_treated), stratum in zip(classes, strata, strict=True)
    ]


def mean(arm) -> float:
    return float(np.mean(np.concatenate(arm)))


def classes(rng: np.random.Generator, number: int, icc: float = 0.15) -> list[np.ndarray]:
    return [
        rng.normal(rng.normal(0, np.sqrt(icc)), np.sqrt(1 - icc), size)
        for size in rng.integers(10, 41, number)
    ]


@settings(max_examples=examples(25))
@given(ARM, ARM)
def test_variance_is_the_jackknife_over_sections(control, treatment) -> None:
    found = section_difference(sections_of(control, treatment)).difference

    whole, groups = mean(treatment) - mean(control), len(control) + len(treatment)
    changes = [
        mean(treatment) - mean(control[:g] + control[g + 1 :]) - whole for g in range(len(control))
    ] + [
        mean(treatment[:g] + treatment[g + 1 :]) - mean(control) - whole
        for g in range(len(treatment))
    ]
    error = np.sqrt((groups - 1) / groups * np.square(changes).sum())
    assert found.value == pytest.approx(whole)
    if error > 1e-9:
        assert found.standard_error == pytest.approx(error, rel=1e-9)
        t = scipy_stats.t.ppf(0.975, section_df(len(control), len(treatment)))
        assert found.high == pytest.approx(whole + t * error)
    else:
        assert "same mean" in found.reason


def test_variance_is_cr3_of_the_regression_with_matrices() -> None:
    # Bell and McCaffrey (2002): residuals of a section divided by I - H of the section.
    rng = np.random.default_rng(1)
    arms = [classes(rng, number) for number in (4, 5)]
    found = section_difference(sections_of(*arms)).difference

    groups = [*arms[0], *arms[1]]
    outcomes = np.concatenate(groups)
    section = np.repeat(np.arange(9), [each.size for each in groups])
    design = np.column_stack([np.ones(outcomes.size), section >= 4]).astype(float)
    bread = np.linalg.inv(design.T @ design)
    residuals = outcomes - design @ (bread @ design.T @ outcomes)
    meat = np.zeros((2, 2))
    for g in range(9):
        x = design[section == g]
        scaled = np.linalg.solve(np.eye(len(x)) - x @ bread @ x.T, residuals[section == g])
        meat += np.outer(x.T @ scaled, x.T @ scaled)
    variance = 8 / 9 * (bread @ meat @ bread)[1, 1]
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_section_means_are_compared_by_welchs_t() -> None:
    rng = np.random.default_rng(2)
    arms = [classes(rng, number) for number in (5, 7)]
    found = section_difference(sections_of(*arms)).of_sections

    means = [[each.mean() for each in arm] for arm in arms]
    expected = scipy_stats.ttest_ind(means[1], means[0], equal_var=False)
    assert (found.p_value, found.df) == pytest.approx((expected.pvalue, expected.df), rel=1e-9)


def test_equal_arms_have_one_degree_of_freedom_less_than_sections() -> None:
    # Cameron and Miller (2015), Journal of Human Resources 50:317: T(G - 1).
    assert section_df(3, 3) == pytest.approx(5)
    assert section_df(10, 10) == pytest.approx(19)
    assert section_df(2, 18) < 3


@pytest.mark.parametrize(
    ("icc", "size", "variation", "effect"),
    [(0.05, 50, 0, 3.45), (0.15, 30, 0, 5.35), (0.15, 30, 1.5, 15.475)],
)
def test_design_effects_are_the_published_ones(icc, size, variation, effect) -> None:
    # Eldridge, Ashby and Kerry (2006): 1 + icc ((m - 1) + m CV^2).
    assert design_effect(icc, size, variation=variation) == pytest.approx(effect)


@settings(max_examples=examples(25))
@given(ARM, ARM)
def test_intraclass_correlation_is_the_table_of_variance_written_out(control, treatment) -> None:
    found = intraclass_correlation(sections_of(control, treatment))

    between = within = uneven = 0.0
    for arm in (control, treatment):
        between += sum(len(each) * (np.mean(each) - mean(arm)) ** 2 for each in arm)
        within += sum(sum((value - np.mean(each)) ** 2 for value in each) for each in arm)
        uneven += sum(len(each) ** 2 for each in arm) / sum(map(len, arm))
    learners, groups = sum(map(len, control + treatment)), len(control + treatment)
    if learners == groups or between + within < 1e-9:
        assert isnan(found)
        return
    msb, msw = between / (groups - 2), within / (learners - groups)
    size = (learners - uneven) / (groups - 2)
    assert found == pytest.approx((msb - msw) / (msb + (size - 1) * msw), abs=1e-9)


def test_parts_of_a_section_add_to_the_section() -> None:
    outcomes, names = [1.0, 4.0, 2.0, 8.0, 5.0], ["a", "b", "a", "b", "a"]
    whole = by_section(outcomes, names)
    parts = by_section(outcomes[:2], names[:2]), by_section(outcomes[2:], names[2:])

    for name, moments in whole.items():
        added = parts[0][name] + parts[1][name]
        assert (added.n, added.mean) == (moments.n, pytest.approx(moments.mean))
        assert added.deviations == pytest.approx(moments.deviations)


@settings(max_examples=examples(25))
@given(ARM, ARM)
def test_swapping_the_arms_mirrors_the_difference_of_sections(control, treatment) -> None:
    there, back = (
        section_difference(sections_of(*arms))
        for arms in ((control, treatment), (treatment, control))
    )

    for one, other in (
        (there.difference, back.difference),
        (there.of_sections, back.of_sections),
    ):
        assert one.has_interval == other.has_interval
        if one.has_interval:
            assert (one.low, one.p_value) == pytest.approx((-other.high, other.p_value), abs=1e-9)
    assert there.icc == pytest.approx(back.icc, nan_ok=True)


@pytest.mark.parametrize(
    ("control", "treatment", "sentence"),
    [
        ([], [[1, 2], [3]], "no section of the control"),
        ([[1, 2], [3]], [[], []], "no section of this arm"),
        ([[1, 2, 3]], [[1, 2], [3]], "only one section of the control"),
        ([[1, 2], [3]], [[1, 5], []], "only one section of this arm"),
        ([[1, 3], [2]], [[4, 4], [4]], "same mean"),
    ],
    ids=["no control", "empty sections", "one control", "one beside an empty", "no variation"],
)
def test_sections_that_cannot_be_compared_give_a_reason(control, treatment, sentence: str) -> None:
    found = section_difference(sections_of(control, treatment))

    assert sentence in found.difference.reason
    assert found.of_sections.reason
    assert all(map(isnan, (found.difference.low, found.of_sections.low)))


def test_huge_sections_have_an_answer() -> None:
    sections = [
        Section(Moments(10**12, 1e100 + step, 1e90), is_treated)
        for step, is_treated in ((0, False), (1e99, False), (1e99, True), (3e99, True))
    ]

    assert section_difference(sections).difference.has_interval


@settings(max_examples=examples(20))
@given(
    st.lists(st.integers(0, 9), min_size=3, max_size=4),
    st.lists(st.integers(0, 9), min_size=3, max_size=4),
)
def test_randomization_of_single_learners_is_scipys_permutation_test(control, treatment) -> None:
    found = randomization_test(
        sections_of([[each] for each in control], [[each] for each in treatment]), seed=1
    )

    apart = [
        abs(np.mean(chosen) - (sum(control + treatment) - sum(chosen)) / len(control))
        for chosen in combinations(control + treatment, len(treatment))
    ]
    observed = abs(np.mean(treatment) - np.mean(control))
    assert found.is_exact
    assert found.draws == len(apart)
    assert found.p_value == pytest.approx(np.mean(np.array(apart) >= observed - 1e-9))


def test_three_against_three_sections_can_never_be_significant() -> None:
    found = randomization_test(sections_of([[0], [1], [2]], [[50], [60], [70]]), seed=1)

    assert (found.p_value, found.draws) == (pytest.approx(0.1), 20)


def test_draws_stay_within_their_strata() -> None:
    # Pairs: 2 * 2 * 2 draws, of which the observed and its mirror image are the largest.
    sections = sections_of([[0], [10], [20]], [[1], [11], [21]], ["a", "b", "c"] * 2)
    found = randomization_test(sections, seed=1)

    assert (found.p_value, found.draws) == (0.25, 8)


def test_many_sections_are_sampled_with_their_seed() -> None:
    rng = np.random.default_rng(3)
    sections = sections_of(classes(rng, 10), classes(rng, 12))
    found, again = (randomization_test(sections, seed=5) for _ in range(2))

    assert found == again
    assert not found.is_exact
    assert found.draws == DRAWS
    # Sampling agrees with the t of sections where that is valid.
    t = section_difference(sections).difference.p_value
    assert found.p_value == pytest.approx(t, abs=0.05)
    assert 0 < found.p_value <= 1


def test_sampled_draws_stay_within_their_strata_too() -> None:
    # 15 pairs have 32,768 draws, of which the observed and its mirror image are the largest.
    pairs = range(15)
    sections = sections_of(
        [[100 * each] for each in pairs], [[100 * each + 1] for each in pairs], [*pairs, *pairs]
    )
    found = randomization_test(sections, seed=1)

    assert not found.is_exact
    assert found.p_value < 0.001


def test_randomization_without_an_arm_gives_a_reason() -> None:
    found = randomization_test(sections_of([], [[1], [2]]), seed=1)

    assert isnan(found.p_value)
    assert "no section of an arm" in found.reason


@pytest.mark.slow
def test_uneven_arms_of_sections_differ_one_time_in_twenty() -> None:
    # For equal arms there are certificates. Published for CR3 with T(G - 1): .048 with 6 and .050
    # with 10 sections (Cameron and Miller).
    arms = (3, 7)
    rng = np.random.default_rng(20250901)
    shown = []
    for _ in range(2_000):
        sizes, is_treated = rng.integers(10, 41, sum(arms)), np.arange(sum(arms)) >= arms[0]
        # The mean of a section of n learners at an intraclass correlation of .15.
        means = rng.normal(0, np.sqrt(0.15 + 0.85 / sizes))
        sections = [
            Section(Moments(int(n), mean, 0.85 * (n - 1)), bool(arm))
            for n, mean, arm in zip(sizes, means.tolist(), is_treated, strict=True)
        ]
        shown.append(section_difference(sections).difference.is_significant)

    assert 0.03 < np.mean(shown) < 0.065
