from math import inf, isnan, log, sqrt

import numpy as np
import pytest
import scipy
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects

from experiments.stats.estimate import UNKNOWN, Estimate, unknown
from experiments.stats.pooling import pool
from tests.examples import examples

# Thirteen trials of the BCG vaccine, Colditz et al. (1994), JAMA 271:698, the data set "dat.bcg" of
# metafor: tuberculosis and no tuberculosis, vaccinated and not.
BCG = (
    (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619),
    (33, 5036, 47, 5761), (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892),
    (29, 7470, 45, 7232), (17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
)  # fmt: skip

COURSES = st.lists(
    st.tuples(st.integers(-40, 40).map(lambda n: n / 10), st.sampled_from([0.2, 0.5, 0.7, 3.0])),
    min_size=2,
    max_size=8,
)


def effect(value: float, error: float) -> Estimate:
    return Estimate(value, UNKNOWN, UNKNOWN, UNKNOWN, 0.95, "any", "any", standard_error=error)


def log_risk_ratio(table: tuple[int, int, int, int]) -> Estimate:
    ill, well, ill0, well0 = table
    value = log(ill / (ill + well)) - log(ill0 / (ill0 + well0))
    return effect(value, sqrt(1 / ill - 1 / (ill + well) + 1 / ill0 - 1 / (ill0 + well0)))


def test_the_printed_numbers_of_the_bcg_trials() -> None:
    # metafor documentation, rma(yi, vi, data=dat.bcg), REML: estimate -0.7145, tau^2 0.3132,
    # I^2 92.22 %.
    found = pool([log_risk_ratio(table) for table in BCG])

    assert found.mean.value == pytest.approx(-0.7145, abs=5e-5)
    assert found.tau_squared == pytest.approx(0.3132, abs=5e-5)
    assert found.i_squared == pytest.approx(0.9222, abs=5e-5)
    assert (found.courses, found.left_out, found.mean.df) == (13, 0, 12)
    assert found.new_low < found.mean.low < found.mean.high < 0 < found.new_high


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(COURSES)
def test_tau_squared_is_where_the_restricted_likelihood_is_largest(
    courses: list[tuple[float, float]],
) -> None:
    # From the definition with matrices: Harville (1977), JASA 72:320.
    values, errors = np.array(courses).T
    ones = np.ones((values.size, 1))

    def loss(tau_squared: float) -> float:
        inverse = np.diag(1 / (errors**2 + tau_squared))
        information = ones.T @ inverse @ ones
        projection = inverse - inverse @ ones @ np.linalg.inv(information) @ ones.T @ inverse
        spread = np.linalg.slogdet(inverse)[1] - np.linalg.slogdet(information)[1]
        return float(values @ projection @ values - spread)

    found = pool([effect(*course) for course in courses]).tau_squared
    others = [*np.linspace(0, 40, 401), found * 0.99, found * 1.01]
    assert loss(found) <= min(loss(other) for other in others) + 1e-9


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(COURSES)
def test_mean_equals_weighted_least_squares_of_statsmodels(
    courses: list[tuple[float, float]],
) -> None:
    values, errors = np.array(courses).T
    found = pool([effect(*course) for course in courses])
    weights = 1 / (errors**2 + found.tau_squared)
    expected = sm.WLS(values, np.ones(values.size), weights=weights).fit()

    assert found.mean.value == pytest.approx(expected.params[0], rel=1e-9, abs=1e-9)
    # Hartung and Knapp's error is that of weighted least squares; ours is not below the plain one.
    error = max(expected.bse[0], 1 / sqrt(weights.sum()))
    assert found.mean.standard_error == pytest.approx(error, rel=1e-9)
    t = scipy.stats.t.ppf(0.975, values.size - 1)
    assert found.mean.high == pytest.approx(expected.params[0] + t * error, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(st.lists(st.integers(-40, 40), min_size=3, max_size=9), st.sampled_from([0.5, 5.0]))
def test_equally_large_courses_equal_statsmodels(values: list[int], error: float) -> None:
    # With equal errors, restricted likelihood and the moments of statsmodels give one tau squared.
    assume(np.var(values, ddof=1) > error**2)  # statsmodels takes a tau squared below 0
    found = pool([effect(value, error) for value in values])
    expected = combine_effects(
        np.array(values, dtype=float), np.full(len(values), error**2), method_re="dl", use_t=True
    )

    assert found.tau_squared == pytest.approx(expected.tau2, rel=1e-9, abs=1e-9)
    assert found.mean.value == pytest.approx(expected.mean_effect_re, rel=1e-9, abs=1e-9)
    assert found.mean.standard_error == pytest.approx(expected.sd_eff_w_re_hksj, rel=1e-9)
    assert found.i_squared == pytest.approx(expected.i2, rel=1e-9)


def test_interval_of_a_new_course_is_that_of_its_formula() -> None:
    # Higgins, Thompson and Spiegelhalter (2009), equation 12.
    found = pool([effect(*course) for course in ((0.1, 0.1), (0.5, 0.1), (0.4, 0.2), (-0.2, 0.1))])

    half = scipy.stats.t.ppf(0.975, 2) * sqrt(found.tau_squared + found.mean.standard_error**2)
    assert (found.new_low, found.new_high) == pytest.approx(
        (found.mean.value - half, found.mean.value + half)
    )


@pytest.mark.slow
@given(COURSES)
def test_order_and_sign_do_not_matter(courses: list[tuple[float, float]]) -> None:
    there = pool([effect(value, error) for value, error in courses])
    back = pool([effect(-value, error) for value, error in reversed(courses)])

    assert (there.mean.value, there.mean.low, there.tau_squared, there.new_low) == pytest.approx(
        (-back.mean.value, -back.mean.high, back.tau_squared, -back.new_high),
        rel=1e-7, abs=1e-7, nan_ok=True,
    )  # fmt: skip


def test_too_few_courses_have_a_reason() -> None:
    none = pool([])
    assert isnan(none.mean.value)
    assert "no course" in none.mean.reason
    one = pool([effect(0.3, 0.1)])
    assert one.mean.value == 0.3
    assert "only one course" in one.mean.reason
    assert isnan(one.tau_squared)
    assert isnan(one.new_low)
    two = pool([effect(0.3, 0.1), effect(0.1, 0.1)])
    assert two.mean.has_interval
    assert isnan(two.new_low)
    assert "two courses" in two.new_reason


def test_courses_without_an_error_are_left_out_and_counted() -> None:
    known = [effect(0.3, 0.1), effect(0.1, 0.2), effect(0.2, 0.1)]
    lost = [unknown(0.5, level=0.95, reason="no"), effect(UNKNOWN, 1), effect(1, 0), effect(1, inf)]
    found = pool(known + lost)

    assert found.left_out == 4
    assert found.mean == pool(known).mean


def test_courses_that_agree_do_not_shrink_the_interval_to_a_point() -> None:
    found = pool([effect(0.25, 0.1)] * 4)

    assert (found.tau_squared, found.i_squared) == (0, 0)
    assert found.mean.standard_error == pytest.approx(0.05)


@pytest.mark.parametrize(
    "courses",
    [
        pytest.param([(1e200, 1e199), (-1e200, 1e200), (3e199, 1e199)], id="huge"),
        pytest.param([(1e-200, 1e-200), (3e-200, 1e-201), (0.0, 1e-199)], id="tiny"),
        pytest.param([(1.0, 1e-200), (2.0, 1e-200), (5.0, 1e-200)], id="exact"),
        pytest.param([(1.0, 1e-9), (2.0, 1e9), (5.0, 1.0)], id="unlike"),
        pytest.param([(0.0, 1.0), (0.0, 1.0), (0.0, 1e-30)], id="no effects"),
        pytest.param([(0.0, 0.3), (1.0, 1e9), (1.0, 1e9)], id="flat likelihood"),
    ],
)
def test_numbers_of_any_size_have_an_interval(courses: list[tuple[float, float]]) -> None:
    found = pool([effect(*course) for course in courses])

    assert found.mean.low <= found.mean.value <= found.mean.high
    assert found.new_low <= found.mean.value <= found.new_high
    assert 0 <= found.i_squared <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("tau", "least"), [(0.0, 0.95), (0.1, 0.87), (0.3, 0.9)])
@pytest.mark.sampled(3)
def test_intervals_hold_the_mean_and_a_new_course(tau: float, least: float) -> None:
    # 400 sets of six courses of 50 to 800 learners, with errors of 0.28 to 0.07. The interval of a
    # new course is known to be short if tau is not above the errors.
    rng = np.random.default_rng(20_250_901)
    errors = 2 / np.sqrt([50, 100, 100, 200, 400, 800])
    means = new = 0
    for _ in range(400):
        values = rng.normal(rng.normal(0.2, tau, 6), errors)
        found = pool([effect(*course) for course in zip(values, errors, strict=True)])
        means += found.mean.low <= 0.2 <= found.mean.high
        new += found.new_low <= rng.normal(0.2, tau) <= found.new_high

    assert means / 400 >= 0.93
    assert new / 400 >= least
