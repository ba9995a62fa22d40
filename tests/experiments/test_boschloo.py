from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from experiments.stats.boschloo import (
    boschloo_difference_limits,
    boschloo_p_value,
    boschloo_ratio_limits,
    least_p_value,
)
from experiments.stats.rates import EXACT, rate_difference
from experiments.stats.sufficient import Counts
from tests.examples import examples
from tests.experiments.test_rates import counts
from tests.long import longer


@pytest.mark.slow
@given(counts(most=20), counts(most=20))
@settings(max_examples=examples(25), deadline=None)
def test_p_value_equals_scipy(control: Counts, treatment: Counts) -> None:
    assume(0 < control.successes + treatment.successes < control.n + treatment.n)
    # scipy has one column per arm. With only 8 points its search stops up to 3 % too low.
    expected = scipy_stats.boschloo_exact(
        [
            [treatment.successes, control.successes],
            [treatment.n - treatment.successes, control.n - control.successes],
        ],
        n=128,
    ).pvalue

    found = boschloo_p_value(control, treatment)
    if expected < 0.5:
        assert found == pytest.approx(expected, rel=1e-4)
    else:
        # We order the tables by the direction in which the rates differ. scipy orders them by the
        # direction in which Fisher's p-value is smaller. Only large p-values differ.
        assert found > 0.499


def test_p_value_equals_a_count_of_every_table() -> None:
    # Independent computation: Fisher's test of every table, at every rate of a grid of 2,001.
    n0, n1, seen = 7, 5, (1, 4)
    rates = np.linspace(0, 1, 2001)
    chance = np.zeros_like(rates)
    limit = fisher(*seen, n0, n1)
    for x0, x1 in product(range(n0 + 1), range(n1 + 1)):
        if fisher(x0, x1, n0, n1) <= limit * (1 + 1e-9):
            chance += scipy_stats.binom.pmf(x0, n0, rates) * scipy_stats.binom.pmf(x1, n1, rates)

    found = boschloo_p_value(Counts(seen[0], n0), Counts(seen[1], n1))
    assert found == pytest.approx(2 * chance.max(), rel=1e-5)


def fisher(x0: int, x1: int, n0: int, n1: int) -> float:
    table = [[x1, x0], [n1 - x1, n0 - x0]]
    return float(scipy_stats.fisher_exact(table, alternative="greater").pvalue)


def limits_and_p(x0: int, x1: int, n0: int, n1: int) -> tuple[float, float, float]:
    # Swapping the arms, or the outcome with its opposite, mirrors the limits. For arms of one size
    # only a quarter of the tables must be computed, for others half.
    if n0 != n1 and x0 / n0 + x1 / n1 > 1:
        low, high, p = limits_and_p(n0 - x0, n1 - x1, n0, n1)
        return -high, -low, p
    if n0 == n1 and x0 > x1:
        low, high, p = limits_and_p(x1, x0, n1, n0)
        return -high, -low, p
    if n0 == n1 and x0 + x1 > n0:
        return limits_and_p(n1 - x1, n0 - x0, n1, n0)
    found = rate_difference(Counts(x0, n0), Counts(x1, n1))
    assert found.test == EXACT
    return found.low, found.high, found.p_value


@pytest.mark.slow
@given(st.integers(3, 12), st.integers(3, 12), st.data())
@settings(max_examples=examples(30))
def test_mirrored_tables_have_mirrored_limits(n0: int, n1: int, data: st.DataObject) -> None:
    x0, x1 = (data.draw(st.integers(0, n)) for n in (n0, n1))
    found = rate_difference(Counts(x0, n0), Counts(x1, n1))
    swapped = rate_difference(Counts(x1, n1), Counts(x0, n0))
    turned = rate_difference(Counts(n0 - x0, n0), Counts(n1 - x1, n1))
    expected = pytest.approx((found.low, found.high, found.p_value), abs=1e-5, nan_ok=True)
    assert (-swapped.high, -swapped.low, swapped.p_value) == expected
    assert (-turned.high, -turned.low, turned.p_value) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n0", "n1"),
    [
        (8, 8),
        (8, 12),
        *longer(
            "test_limits_cover_the_truth_and_the_test_keeps_its_level", (12, 12), (8, 20), (25, 25)
        ),
    ],
    ids=str,
)
def test_limits_cover_the_truth_and_the_test_keeps_its_level(n0: int, n1: int) -> None:
    # Every table of such arms, weighted by its probability at each pair of rates. In such arms the
    # limits of Newcombe and of Miettinen and Nurminen cover only .90 to .93 at their worst.
    found = [[limits_and_p(x0, x1, n0, n1) for x1 in range(n1 + 1)] for x0 in range(n0 + 1)]
    low, high, p = np.moveaxis(np.array(found), 2, 0)

    rates = np.linspace(0, 1, 41)
    for rate0, rate1 in product(rates, rates):
        chance = np.outer(
            scipy_stats.binom.pmf(range(n0 + 1), n0, rate0),
            scipy_stats.binom.pmf(range(n1 + 1), n1, rate1),
        )
        apart = rate1 - rate0
        assert chance[(low <= apart + 1e-6) & (apart - 1e-6 <= high)].sum() >= 0.95
        assert rate0 != rate1 or chance[p < 0.05].sum() <= 0.05


def test_two_rates_of_zero_have_the_limits_of_a_single_arm() -> None:
    # 0 of 10 twice: the limit is the rate at which 0 of 10 has a probability of .025.
    limit = 1 - 0.025**0.1

    assert boschloo_difference_limits(Counts(0, 10), Counts(0, 10), level=0.95) == pytest.approx(
        (-limit, limit), abs=1e-5
    )


def test_ratio_limits_are_inverted_if_the_arms_are_swapped() -> None:
    low, high = boschloo_ratio_limits(Counts(3, 12), Counts(7, 15), level=0.95)
    back = boschloo_ratio_limits(Counts(7, 15), Counts(3, 12), level=0.95)

    assert (1 / high, 1 / low) == pytest.approx(back, rel=1e-4)


@pytest.mark.slow
@given(st.integers(1, 12), st.integers(1, 12))
def test_no_table_is_more_extreme_than_rates_of_zero_and_one(n0: int, n1: int) -> None:
    extreme = boschloo_p_value(Counts(0, n0), Counts(n1, n1))

    assert least_p_value(Counts(0, n0), Counts(n1, n1)) == pytest.approx(extreme, rel=1e-5)


def test_restricting_the_tables_changes_a_p_value_by_a_millionth() -> None:
    # One is just above and one just below the limit up to which all tables are used.
    all_of_them = boschloo_p_value(Counts(3, 99), Counts(12, 197))
    some_of_them = boschloo_p_value(Counts(3, 99), Counts(12, 200))

    assert all_of_them == pytest.approx(some_of_them, rel=0.05)
