"""Guardrails with margins: by enumeration, against statsmodels, and one interval, one verdict."""

from math import isnan

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy import stats as scipy_stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from experiments.stats.margins import Margin, Verdict, mean_guardrail, rate_guardrail
from experiments.stats.score import difference_statistic
from experiments.stats.sufficient import Counts, Moments
from tests.examples import examples

VALUES = st.lists(st.integers(0, 9).map(float), min_size=2, max_size=25)
WORSE_UP, WORSE_DOWN = Margin(0.1, higher_is_worse=True), Margin(0.1, higher_is_worse=False)


@pytest.mark.parametrize(
    ("control", "treatment", "verdict"),
    [
        ((10, 500), (11, 500), Verdict.SAFE),
        ((0, 100), (0, 100), Verdict.SAFE),
        ((10, 500), (30, 500), Verdict.SAFE),
        ((5, 40), (7, 40), Verdict.UNKNOWN),
        ((10, 500), (100, 500), Verdict.HARMFUL),
        ((10, 200), (28, 200), Verdict.HARMFUL),
        ((0, 12), (0, 12), Verdict.UNKNOWN),
        ((0, 0), (3, 12), Verdict.UNKNOWN),
    ],
    ids=[
        "alike", "nobody", "worse within the margin", "few", "beyond the margin",
        "worse and maybe beyond", "tiny", "empty",
    ],
)  # fmt: skip
def test_one_interval_gives_the_verdict(control, treatment, verdict: Verdict) -> None:
    found = rate_guardrail(Counts(*control), Counts(*treatment), WORSE_UP)

    assert found.verdict is verdict


def test_a_rate_that_must_not_fall_mirrors_one_that_must_not_rise() -> None:
    up = rate_guardrail(Counts(30, 200), Counts(40, 220), WORSE_UP)
    down = rate_guardrail(Counts(170, 200), Counts(180, 220), WORSE_DOWN)

    assert down.p_value == pytest.approx(up.p_value)
    assert (down.difference.low, down.verdict) == (pytest.approx(-up.difference.high), up.verdict)


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(st.integers(5, 90), st.integers(5, 90), st.data())
def test_a_rate_is_within_the_margin_exactly_if_its_test_rejects(n0: int, n1: int, data) -> None:
    control = Counts(data.draw(st.integers(0, n0)), n0)
    treatment = Counts(data.draw(st.integers(0, n1)), n1)
    found = rate_guardrail(control, treatment, WORSE_UP)
    assume(abs(found.p_value - 0.025) > 1e-9)

    assert (found.verdict is Verdict.SAFE) == (found.p_value < 0.025)


def test_likelihood_at_the_margin_is_the_greatest_by_search() -> None:
    # Second way to Farrington and Manning's z: the restricted rates by numerical search.
    control, treatment = Counts(12, 150), Counts(15, 140)
    found = rate_guardrail(control, treatment, WORSE_UP)

    def unlikelihood(rate: float) -> float:
        return -float(
            scipy_stats.binom.logpmf(12, 150, rate) + scipy_stats.binom.logpmf(15, 140, rate + 0.1)
        )

    rate0 = optimize.minimize_scalar(unlikelihood, bounds=(1e-9, 0.9), method="bounded").x
    rate1 = rate0 + 0.1
    spread = (rate0 * (1 - rate0) / 150 + rate1 * (1 - rate1) / 140) * 290 / 289
    z = (15 / 140 - 12 / 150 - 0.1) / np.sqrt(spread)
    assert found.p_value == pytest.approx(scipy_stats.norm.cdf(z), rel=1e-5)


@settings(max_examples=examples(25))
@given(VALUES, VALUES, st.sampled_from([0.5, 1.0, 3.0]))
def test_means_are_tested_as_in_statsmodels(control, treatment, size: float) -> None:
    assume(np.var(control) > 0 and np.var(treatment) > 0)
    margin = Margin(size, higher_is_worse=False)
    found = mean_guardrail(Moments.from_array(control), Moments.from_array(treatment), margin)

    means = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
    _, p_value, _ = means.ttest_ind(alternative="larger", usevar="unequal", value=-size)
    assert found.p_value == pytest.approx(p_value, rel=1e-9)
    assert (found.verdict is Verdict.SAFE) == (found.p_value < 0.025)


def test_arms_without_an_interval_are_not_known_yet() -> None:
    found = mean_guardrail(Moments.from_array([0, 0]), Moments.from_array([1, 2]), WORSE_UP)
    empty = rate_guardrail(Counts(1, 2), Counts(0, 0), WORSE_UP)

    for each, sentence in ((found, "every outcome"), (empty, "no learner of this arm")):
        assert each.verdict is Verdict.UNKNOWN
        assert isnan(each.p_value)
        assert sentence in each.difference.reason


@pytest.mark.parametrize("size", [0, -0.1, float("nan"), float("inf")])
def test_a_margin_is_above_zero(size: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Margin(size, higher_is_worse=True)


def test_a_margin_of_a_rate_is_below_one() -> None:
    with pytest.raises(ValueError, match="below 1"):
        rate_guardrail(Counts(1, 2), Counts(1, 2), Margin(1.0, higher_is_worse=True))


@pytest.mark.parametrize(
    ("sizes", "largest"), [((12, 12), 0.028), ((50, 50), 0.029), ((100, 300), 0.035)], ids=str
)
def test_an_arm_at_the_margin_is_rarely_called_safe(sizes: tuple[int, int], largest: float) -> None:
    # By enumeration of every table, at each control rate from 0 to .9: nominal .025.
    n0, n1 = sizes
    tables = np.arange(n0 + 1.0)[:, None], np.arange(n1 + 1.0)[None, :]
    is_safe = difference_statistic(n0, n1, *tables, 0.1) < scipy_stats.norm.ppf(0.025)

    rates = np.linspace(0, 0.9, 91)
    chances = [
        scipy_stats.binom.pmf(np.arange(n0 + 1), n0, rate)
        @ is_safe
        @ scipy_stats.binom.pmf(np.arange(n1 + 1), n1, rate + 0.1)
        for rate in rates
    ]
    assert max(chances) < largest
