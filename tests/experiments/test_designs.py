"""Power with sections and looks, and ICC from history: in print, and against the reports."""

from math import isnan, sqrt

import numpy as np
import pytest
from scipy import stats as scipy_stats

from experiments.stats.designs import (
    SectionDesign,
    detectable_section_effect,
    detectable_section_rise,
    icc_of_history,
    inflation_factor,
    needed_sections,
    section_power,
)
from experiments.stats.looks import boundary, obrien_fleming_constant, pocock_constant
from experiments.stats.power import rise_power
from experiments.stats.sections import Section, section_difference
from experiments.stats.sufficient import Moments

# Shrout and Fleiss (1979), Psychological Bulletin 86:420, table 2: six targets of four judges each.
TARGETS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


@pytest.mark.parametrize(
    ("looks", "power", "pocock", "obrien_fleming"),
    # Jennison and Turnbull (2000), Group Sequential Methods, tables 2.2 and 2.4, alpha .05.
    [
        (2, 0.8, 1.110, 1.008),
        (3, 0.8, 1.166, 1.017),
        (5, 0.8, 1.228, 1.028),
        (5, 0.9, 1.206, 1.026),
        (10, 0.8, 1.300, 1.040),
    ],
)
def test_looks_need_as_many_more_learners_as_published(
    looks: int, power: float, pocock: float, obrien_fleming: float
) -> None:
    numbers = range(1, looks + 1)
    fractions = [number / looks for number in numbers]
    narrowing = [obrien_fleming_constant(looks) * sqrt(looks / number) for number in numbers]

    found = inflation_factor(fractions, [pocock_constant(looks)] * looks, power=power)
    assert found == pytest.approx(pocock, abs=1e-3)
    assert inflation_factor(fractions, narrowing, power=power) == pytest.approx(
        obrien_fleming, abs=1e-3
    )


def test_four_looks_of_pocock_need_as_many_more_as_sas_says() -> None:
    # SAS/STAT, PROC SEQDESIGN, example 3: maximum information 118.3143 % of a fixed sample.
    found = inflation_factor([0.25, 0.5, 0.75, 1], [pocock_constant(4)] * 4, power=0.9)
    assert found == pytest.approx(1.183143, abs=5e-6)


def test_one_look_needs_no_more_learners() -> None:
    assert inflation_factor([1.0], boundary([1.0])) == pytest.approx(1, abs=1e-4)


def test_icc_and_its_interval_are_the_published_ones() -> None:
    # ICC(1, 1) .17, 95 % from -.133 to .723 (Shrout and Fleiss; R psych).
    found = icc_of_history([Moments.from_array(each) for each in TARGETS])

    assert (found.value, found.low, found.high) == pytest.approx(
        (0.1657, -0.1329, 0.7226), abs=5e-5
    )


def test_icc_of_uneven_sections_is_the_anova_written_out() -> None:
    sections = [[1.0, 2.0, 4.0], [3.0, 3.5], [6.0], [2.0, 7.0, 7.0, 9.0]]
    found = icc_of_history([Moments.from_array(each) for each in sections], level=0.9)

    sizes = np.array([3, 2, 1, 4])
    ratio = scipy_stats.f_oneway(*sections).statistic
    size = (10 - (sizes**2).sum() / 10) / 3
    expected = [
        (each - 1) / (each + size - 1)
        for each in (
            ratio,
            ratio / scipy_stats.f.ppf(0.95, 3, 6),
            ratio / scipy_stats.f.ppf(0.05, 3, 6),
        )
    ]
    assert (found.value, found.low, found.high) == pytest.approx(expected, rel=1e-9)


def test_interval_of_an_icc_holds_it_in_nineteen_of_twenty_histories() -> None:
    rng, held = np.random.default_rng(20261130), []
    for _ in range(600):
        sizes = rng.integers(10, 41, 12)
        means = rng.normal(0, np.sqrt(0.15 + 0.85 / sizes)).tolist()
        inside = (0.85 * rng.chisquare(sizes - 1)).tolist()
        found = icc_of_history(map(Moments, sizes.tolist(), means, inside))
        held.append(found.low <= 0.15 <= found.high)

    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ([], "fewer than two"),
        ([[1, 2], []], "fewer than two"),
        ([[1], [2], [3]], "two learners"),
        ([[1, 1], [2, 2], [3]], "no outcome varies"),
        ([[0.1 + 0.2, 0.3], [5, 5]], "no outcome varies"),
    ],
    ids=["none", "one", "single learners", "constant", "rounding"],
)
def test_histories_without_an_icc_give_a_reason(sections, sentence: str) -> None:
    found = icc_of_history([Moments.from_array(each) for each in sections])

    assert isnan(found.value)
    assert sentence in found.reason


def test_many_sections_without_correlation_are_as_good_as_single_learners() -> None:
    design = SectionDesign(400, 400, 1, 0.0)
    variances = (0.3 * 0.7, 0.4 * 0.6)

    found = section_power(design, difference=0.1, variances=variances)
    assert found == pytest.approx(rise_power(400, 400, baseline=0.3, rise=0.1), abs=0.005)


def test_power_grows_with_the_square_root_of_the_design_effect() -> None:
    # Design effects 5.35 and 15.475 (Eldridge, Ashby and Kerry 2006).
    even, uneven = SectionDesign(9, 9, 30, 0.15), SectionDesign(9, 9, 30, 0.15, variation=1.5)
    assert (even.effect, uneven.effect) == pytest.approx((5.35, 15.475))

    ratio = detectable_section_effect(uneven).rise / detectable_section_effect(even).rise
    assert ratio == pytest.approx(sqrt(15.475 / 5.35))


@pytest.mark.slow
@pytest.mark.parametrize("arms", [(5, 5), (3, 7), (2, 12)], ids=str)
@pytest.mark.sampled(3)
def test_detectable_effect_of_sections_is_found_in_four_of_five_experiments(
    arms: tuple[int, int],
) -> None:
    effect = detectable_section_effect(SectionDesign(*arms, 20, 0.15)).rise
    rng, treated = np.random.default_rng(20261130), np.arange(sum(arms)) >= arms[0]
    found = []
    for _ in range(1_500):
        means = rng.normal(effect * treated, sqrt(0.15 + 0.85 / 20)).tolist()
        sections = [
            Section(Moments(20, mean, 0.85 * 19), bool(arm))
            for mean, arm in zip(means, treated, strict=True)
        ]
        found.append(section_difference(sections).difference.low > 0)

    assert np.mean(found) == pytest.approx(0.8, abs=0.035)


def test_rise_of_a_rate_has_exactly_the_wanted_power() -> None:
    design = SectionDesign(6, 9, 25, 0.05, variation=0.4)
    rise = detectable_section_rise(design, baseline=0.3).rise
    variances = (0.21, (0.3 + rise) * (0.7 - rise))

    assert section_power(design, difference=rise, variances=variances) == pytest.approx(0.8)


def test_needed_sections_are_just_enough() -> None:
    found = needed_sections(SectionDesign(0, 0, 20, 0.15), baseline=0.3, rise=0.2)

    enough, short = (SectionDesign(each, each, 20, 0.15) for each in (found, found - 1))
    assert detectable_section_rise(enough, baseline=0.3).rise <= 0.2
    assert detectable_section_rise(short, baseline=0.3).rise > 0.2
    assert needed_sections(enough, baseline=0, rise=1) == 2


@pytest.mark.parametrize(
    ("design", "reason"),
    [
        (SectionDesign(1, 9, 20, 0.15), "two of them"),
        (SectionDesign(2, 2, 20, 0.15), "often be hidden"),
    ],
)
def test_where_sections_can_find_nothing_there_is_a_reason(design, reason: str) -> None:
    found = detectable_section_rise(design, baseline=0.3)

    assert isnan(found.rise)
    assert reason in found.reason


def test_huge_designs_have_an_answer() -> None:
    found = detectable_section_effect(SectionDesign(1_000_000, 1_000_000, 20, 0.15))
    assert 0 < found.rise < 0.01


@pytest.mark.parametrize(("baseline", "rise"), [(0.9, 0.2), (0.5, 0.0), (-0.1, 0.2), (0.5, 1e-9)])
def test_rises_that_cannot_be_are_refused(baseline: float, rise: float) -> None:
    with pytest.raises(ValueError, match="rise"):
        needed_sections(SectionDesign(0, 0, 20, 0.15), baseline=baseline, rise=rise)
    with pytest.raises(ValueError, match="baseline"):
        detectable_section_rise(SectionDesign(5, 5, 20, 0.15), baseline=1.1)
