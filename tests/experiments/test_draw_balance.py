from math import inf, isnan, sqrt

import pytest
from scipy.stats import chi2_contingency

from experiments.randomize.balance import draw_balance

ARMS = ("control", "nudge")


def test_the_test_is_that_of_scipy() -> None:
    found = draw_balance(
        {"b": {"control": 30, "nudge": 21}, "a": {"control": 17, "nudge": 28}}, arms=ARMS
    )
    expected = chi2_contingency([[17, 28], [30, 21]], correction=False)

    assert (found.statistic, found.df) == (pytest.approx(expected.statistic, abs=1e-12), 1)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    assert [each.stratum for each in found.strata] == ["a", "b"]
    assert found.sizes == (47, 49)


def test_the_standardized_difference_is_that_of_austin() -> None:
    # Austin (2009), section 2: a share of .2 against .3.
    (first, _) = draw_balance(
        {"a": {"control": 20, "nudge": 30}, "b": {"control": 80, "nudge": 70}}, arms=ARMS
    ).strata

    assert first.difference == pytest.approx(0.1 / sqrt((0.2 * 0.8 + 0.3 * 0.7) / 2), abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ({}, "nobody is drawn"),
        ({"a": {}}, "nobody is drawn"),
        ({"a": {"control": 9, "nudge": 9}}, "one stratum"),
        ({"a": {"control": 9}, "b": {"control": 9}}, "one arm"),
        ({"a": {"control": 9, "nudge": 9}, "b": {"nudge": 2}}, "too few"),
    ],
    ids=str,
)
def test_a_draw_without_a_test_says_why(counts: dict[str, dict[str, int]], reason: str) -> None:
    found = draw_balance(counts, arms=ARMS)

    assert isnan(found.p_value)
    assert isnan(found.statistic)
    assert reason in found.reason


def test_a_stratum_in_one_arm_alone_differs_without_limit() -> None:
    first, second = draw_balance(
        {"a": {"control": 5}, "b": {"nudge": 5}}, arms=("control", "nudge", "empty")
    ).strata
    assert (first.difference, second.difference) == (inf, inf)
