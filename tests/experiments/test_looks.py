"""Critical values of planned looks: published constants, a second integral, course calendars."""

from datetime import date
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import ndtr
from scipy.stats import multivariate_normal, norm

from experiments.stats.looks import (
    PlannedLook,
    boundary,
    crossing_chance,
    current_look,
    looks_by,
    nominal_levels,
    obrien_fleming_constant,
    obrien_fleming_spending,
    pocock_constant,
    power_spending,
    rising_chance,
)
from tests.examples import examples

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
PLAN = [PlannedLook(date(2026, 9, 7 + 7 * number), 40 * number) for number in (1, 2, 3)]
THIRDS = (1 / 3, 2 / 3, 1.0)
INCREASING = st.lists(st.floats(0.05, 0.95), min_size=1, max_size=4, unique=True).map(sorted)


@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    # Jennison and Turnbull (2000), Group Sequential Methods, tables 2.1 and 2.3, alpha .05.
    [
        (2, 2.178, 1.977),
        (3, 2.289, 2.004),
        (4, 2.361, 2.024),
        (5, 2.413, 2.040),
        (10, 2.555, 2.087),
    ],
)
def test_constants_are_those_of_jennison_and_turnbull(
    looks: int, pocock: float, obrien_fleming: float
) -> None:
    assert pocock_constant(looks) == pytest.approx(pocock, abs=6e-4)
    assert obrien_fleming_constant(looks) == pytest.approx(obrien_fleming, abs=6e-4)


@pytest.mark.parametrize(
    ("fractions", "spending", "published"),
    [
        # gsDesign (R), sfLDOF and sfPower, one-sided .025.
        (FIFTHS, obrien_fleming_spending, (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)),
        (THIRDS, obrien_fleming_spending, (3.7103, 2.5114, 1.9930)),
        ((0.5, 0.75, 1.0), obrien_fleming_spending, (2.9626, 2.3590, 2.0141)),
        (FIFTHS, power_spending(2), (3.0902, 2.7141, 2.4728, 2.2799, 2.1140)),
    ],
    ids=["five looks", "three looks", "unequal", "power"],
)
def test_boundaries_are_those_of_gsdesign(fractions, spending, published) -> None:
    assert boundary(fractions, spending=spending) == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize(
    ("looks", "published"),
    # Armitage, McPherson and Rowe (1969), table 2, for 2 and 5; longer rows by their recursion.
    [(2, 0.083), (5, 0.142), (14, 0.220), (28, 0.275)],
)
def test_peeking_at_fixed_alpha_is_as_bad_as_published(looks: int, published: float) -> None:
    fractions = [number / looks for number in range(1, looks + 1)]
    assert crossing_chance(fractions, [1.959964] * looks) == pytest.approx(published, abs=6e-4)


@settings(max_examples=examples(10))
@given(st.floats(0.1, 0.9), st.floats(1.5, 4), st.floats(1.5, 4), st.floats(-1, 3))
def test_two_looks_equal_one_integral(first: float, one: float, two: float, drift: float) -> None:
    def chance(mean: float, *, is_rise: bool) -> float:
        """Integrate what the second look finds over the walks that the first one leaves."""

        def finds(z: float) -> float:
            at, spread = sqrt(first) * z + mean * (1 - first), sqrt(1 - first)
            tail = 0 if is_rise else ndtr((-two - at) / spread)
            return norm.pdf(z - mean * sqrt(first)) * (ndtr((at - two) / spread) + tail)

        outside = norm.sf(one - mean * sqrt(first))
        outside += 0 if is_rise else norm.cdf(-one - mean * sqrt(first))
        return outside + integrate.quad(finds, -one, one, epsabs=1e-12)[0]

    found = crossing_chance([first, 1.0], [one, two])
    assert found == pytest.approx(chance(0.0, is_rise=False), abs=1e-9)
    found = rising_chance([first, 1.0], [one, two], drift=drift)
    assert found == pytest.approx(chance(drift, is_rise=True), abs=1e-9)


def test_three_looks_equal_the_multivariate_normal() -> None:
    fractions, critical = (0.3, 0.5, 1.0), (2.8, 2.4, 2.1)
    roots = np.sqrt(fractions)
    correlations = np.minimum.outer(roots, roots) / np.maximum.outer(roots, roots)
    stays = multivariate_normal(cov=correlations).cdf(critical, lower_limit=-np.array(critical))

    assert crossing_chance(fractions, critical) == pytest.approx(1 - stays, abs=1e-5)


@settings(max_examples=examples(6))
@given(INCREASING, st.sampled_from([0.01, 0.05, 0.1]))
def test_looks_spend_all_of_alpha_whenever_they_are(fractions: list[float], alpha: float) -> None:
    fractions = [*fractions, 1.0]
    critical = boundary(fractions, alpha=alpha)

    assert crossing_chance(fractions, critical) == pytest.approx(alpha, abs=1e-10)
    assert nominal_levels(fractions, alpha=alpha) == pytest.approx(
        1 - 2 * ndtr(-np.array(critical))
    )


def test_walks_without_an_effect_cross_at_one_in_twenty() -> None:
    rng = np.random.default_rng(20261130)
    steps = rng.normal(0, np.sqrt(np.diff([0, 0.1, 0.35, 0.4, 1.0])), (40_000, 4))
    z = steps.cumsum(axis=1) / np.sqrt([0.1, 0.35, 0.4, 1.0])
    crossed = (np.abs(z) > boundary([0.1, 0.35, 0.4, 1.0], spending=power_spending(1))).any(axis=1)

    assert crossed.mean() == pytest.approx(0.05, abs=0.004)


def test_fractions_that_descend_are_refused() -> None:
    for fractions in ([0.5, 0.4], [0.0, 1.0], [-0.1, 1.0]):
        with pytest.raises(ValueError, match="order"):
            boundary(fractions)


def test_a_course_as_planned_has_the_planned_boundary() -> None:
    looks = [current_look(PLAN, [40, 80, 120][:made]) for made in (1, 2, 3)]

    assert [look.critical for look in looks] == pytest.approx(boundary(THIRDS))
    assert [look.level for look in looks] == pytest.approx(nominal_levels(THIRDS))
    assert [look.fraction for look in looks] == pytest.approx(THIRDS)
    assert [look.is_final for look in looks] == [False, False, True]
    assert looks[-1].spent == 0.05


def test_what_was_observed_replaces_what_was_planned() -> None:
    look = current_look(PLAN, [30, 90])

    assert look.critical == pytest.approx(boundary([0.25, 0.75])[1])
    assert look.spent == obrien_fleming_spending(0.75, 0.05)


def test_last_planned_look_spends_the_rest_however_few_came() -> None:
    look = current_look(PLAN, [30, 60, 90])

    assert (look.fraction, look.spent, look.is_final) == (0.75, 0.05, True)
    made = [current_look(PLAN, [30, 60, 90][:number]).critical for number in (1, 2, 3)]
    assert crossing_chance([30, 60, 90], made) == pytest.approx(0.05)
    assert look.critical < boundary([0.25, 0.5, 0.75])[2]


def test_a_last_look_beyond_the_plan_counts_all_that_came() -> None:
    look = current_look(PLAN, [40, 80, 150])

    assert (look.fraction, look.spent) == (1.0, 0.05)
    made = [*boundary(THIRDS)[:2], look.critical]
    assert crossing_chance([40, 80, 150], made) == pytest.approx(0.05)


def test_an_earlier_look_with_all_of_the_information_is_final_and_stands() -> None:
    look = current_look(PLAN, [40, 130])

    assert (look.number, look.spent, look.is_final) == (2, 0.05, True)
    assert current_look(PLAN, [40, 130, 140]) == look


def test_a_look_without_new_information_keeps_its_critical_value() -> None:
    first, again = current_look(PLAN, [40]), current_look(PLAN, [40, 40])
    fewer = current_look(PLAN, [40, 35])

    assert again.critical == fewer.critical == first.critical
    assert (again.number, again.spent) == (2, first.spent)
    assert fewer == again
    assert current_look(PLAN, [40, 35, 120]) == current_look(PLAN, [40, 40, 120])


def test_last_look_without_new_information_still_spends_the_rest() -> None:
    look = current_look(PLAN, [40, 80, 80])

    assert look.spent == 0.05
    assert look.critical < current_look(PLAN, [40, 80]).critical
    # All that is left is decided by the same z as at the look before.
    assert look.critical == pytest.approx(1.97, abs=0.03)


def test_looks_with_hardly_any_information_find_nothing() -> None:
    for observed in ([0.0], [0.0, 0.0, 0.0], [-1.0], [1e-300]):
        assert current_look(PLAN, observed).critical == 8
    assert 0.999999 < current_look(PLAN, [0.0]).level < 1


def test_daily_looks_of_a_term_spend_no_more_than_alpha() -> None:
    plan = [PlannedLook(date.fromordinal(739_000 + day), 3.0 * day) for day in range(1, 61)]
    observed = np.cumsum([3, 0, 5, 1, 4] * 12).tolist()
    look = current_look(plan, observed)

    assert look.spent == 0.05
    assert 2.0 < look.critical < 2.3


def test_looks_are_due_from_their_day_on() -> None:
    assert [looks_by(PLAN, date(2026, 9, day)) for day in (13, 14, 27, 28)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("planned", "observed"),
    [
        (PLAN, []),
        (PLAN, [1, 2, 3, 4]),
        (PLAN, [float("nan")]),
        (PLAN[::-1], [1]),
        ([PLAN[0], PLAN[0]], [1]),
        ([PlannedLook(date(2026, 9, 1), 0)], [1]),
    ],
    ids=["none made", "too many", "nan", "backwards", "one day twice", "nothing expected"],
)
def test_looks_that_cannot_be_are_refused(planned, observed) -> None:
    with pytest.raises(ValueError, match=r"\."):
        current_look(planned, observed)
