from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from experiments.stats.means import welch_difference
from experiments.stats.sufficient import Moments
from experiments.stats.survival import (
    Times,
    kaplan_meier,
    log_rank,
    median_time,
    restricted_mean,
    restricted_mean_difference,
)
from tests.examples import examples

# Weeks in remission of 42 children with leukemia, Freireich et al. (1963), Blood 21:699, as printed
# in Klein and Moeschberger (2003), Survival Analysis, section 1.2.
SIX_MP = Times.from_array(
    [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35],
    events=[1] * 9 + [0] * 12,
)
PLACEBO = Times.from_array(
    [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], events=[1] * 21
)
# Days until the death of 163 flies, the data set "waltons" of lifelines: time, deaths, censored.
WALTONS_CONTROL = Times((
    (7, 1, 1), (17, 1, 0), (32, 1, 0), (33, 1, 0), (38, 2, 0), (41, 7, 0), (45, 9, 1), (48, 8, 0),
    (51, 3, 0), (53, 7, 0), (54, 2, 0), (56, 18, 0), (58, 4, 0), (60, 15, 1), (61, 9, 2),
    (63, 9, 0), (66, 3, 0), (68, 9, 1), (69, 12, 1), (75, 1, 0),
))  # fmt: skip
WALTONS_MIR_137 = Times((
    (6, 1, 0), (9, 3, 0), (13, 3, 0), (15, 2, 0), (19, 3, 0), (22, 4, 0), (26, 5, 0), (29, 5, 0),
    (33, 2, 0), (36, 2, 0), (43, 1, 0), (47, 1, 0), (62, 2, 0),
))  # fmt: skip

Rows = list[tuple[int, bool]]
ROWS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=25)


def times_of(rows: Rows) -> Times:
    return Times.from_array([time for time, _ in rows], events=[event for _, event in rows])


def columns(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    return np.array([float(time) for time, _ in rows]), np.array([int(event) for _, event in rows])


def test_medians_are_the_printed_ones() -> None:
    # Klein and Moeschberger (2003), table 4.1 and example 4.2 for 6-MP; nobody of it is observed
    # long enough for an upper limit.
    six_mp, placebo = median_time(SIX_MP), median_time(PLACEBO)

    assert (six_mp.value, six_mp.low, isnan(six_mp.high)) == (23, 13, True)
    assert "too few events" in six_mp.reason
    assert (placebo.value, placebo.low, placebo.high, placebo.reason) == (8, 4, 11, "")


def test_a_median_that_is_not_reached_has_a_reason() -> None:
    rare = Times(((1, 1, 0), (2, 0, 9)))

    assert isnan(median_time(rare).value)
    assert median_time(rare).reason == "the event has happened to fewer than half of the learners"
    assert median_time(Times()).reason == "no learner of this arm is counted yet"


@settings(max_examples=examples(30))
@given(rows=ROWS)
def test_medians_are_where_the_curve_of_statsmodels_reaches_one_half(rows: Rows) -> None:
    curve = SurvfuncRight(*columns(rows))
    reached = curve.surv_times[curve.surv_prob <= 0.5 + 1e-9]
    first = reached[0] if reached.size else float("nan")

    assert median_time(times_of(rows)).value == pytest.approx(float(first), nan_ok=True)


def test_curve_is_the_printed_one_of_the_leukemia_trial() -> None:
    # Klein and Moeschberger (2003), table 4.1: survival and its standard error at event times.
    printed = [
        (6, 21, 3, 0.857, 0.0764), (7, 17, 1, 0.807, 0.0869), (10, 15, 1, 0.753, 0.0963),
        (13, 12, 1, 0.690, 0.1068), (16, 11, 1, 0.627, 0.1141), (22, 7, 1, 0.538, 0.1282),
        (23, 6, 1, 0.448, 0.1346),
    ]  # fmt: skip
    steps = kaplan_meier(SIX_MP)

    for step, (time, at_risk, events, survival, error) in zip(steps, printed, strict=True):
        assert (step.time, step.at_risk, step.events) == (time, at_risk, events)
        assert step.survival == pytest.approx(survival, abs=5.1e-4)
        assert step.standard_error == pytest.approx(error, abs=5.1e-5)


def test_log_rank_is_the_printed_one_of_both_data_sets() -> None:
    # lifelines documentation, "waltons": 122.249 (p 2.04e-28).
    flies = log_rank(WALTONS_CONTROL, WALTONS_MIR_137)
    assert (WALTONS_CONTROL.n, WALTONS_MIR_137.n) == (129, 34)
    assert flies.chi_square == pytest.approx(122.249, abs=5e-4)
    assert flies.p_value == pytest.approx(2.04e-28, rel=3e-3)
    # R, survival::survdiff on the leukemia trial: 9 observed, 19.3 expected, chi-square 16.8.
    children = log_rank(PLACEBO, SIX_MP)
    assert children.observed == 9
    assert children.expected == pytest.approx(19.3, abs=0.05)
    assert children.chi_square == pytest.approx(16.793, abs=5e-4)
    assert children.p_value == pytest.approx(4.17e-5, rel=1e-3)


def test_restricted_mean_is_the_printed_one_of_the_leukemia_trial() -> None:
    # Klein and Moeschberger (2003), example 4.2: 23.29 weeks up to week 35, standard error 2.83
    # without the factor m / (m - 1). Nine relapsed, and one was observed up to week 35.
    found = restricted_mean(SIX_MP, horizon=35)

    assert found.value == pytest.approx(23.29, abs=5e-3)
    assert found.standard_error * sqrt(9 / 10) == pytest.approx(2.83, abs=5e-3)
    assert found.df == 9


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(ROWS)
def test_curve_equals_statsmodels(rows: Rows) -> None:
    assume(any(event for _, event in rows))
    expected = SurvfuncRight(*columns(rows))
    steps = kaplan_meier(times_of(rows))

    assert [step.time for step in steps] == list(expected.surv_times)
    assert [step.at_risk for step in steps] == list(expected.n_risk)
    assert [step.survival for step in steps] == pytest.approx(expected.surv_prob, rel=1e-9)
    known = [step for step in steps if not step.reason]
    assert [step.standard_error for step in known] == pytest.approx(
        expected.surv_prob_se[: len(known)], rel=1e-9
    )
    for step in known:
        # On the scale log(-log survival) the limits lie 1.96 errors to both sides.
        scale = [np.log(-np.log(each)) for each in (step.low, step.survival, step.high)]
        error = step.standard_error / (step.survival * -np.log(step.survival))
        assert np.diff(scale) == pytest.approx([-1.959963984540054 * error] * 2, rel=1e-7)


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(ROWS, ROWS)
def test_log_rank_equals_statsmodels_and_its_definition(one: Rows, other: Rows) -> None:
    found = log_rank(times_of(one), times_of(other))
    observed, expected, variance = 0.0, 0.0, 0.0
    for at in {time for time, event in one + other if event}:
        n, n1 = (sum(time >= at for time, _ in rows) for rows in (one + other, other))
        d, d1 = (sum(time == at and event for time, event in rows) for rows in (one + other, other))
        observed, expected = observed + d1, expected + d * n1 / n
        variance += d * n1 * (n - n1) * (n - d) / (n * n * (n - 1)) if n > 1 else 0

    if variance == 0:
        assert isnan(found.p_value)
        assert found.reason
        return
    assert found.observed == observed
    assert found.expected == pytest.approx(expected, rel=1e-9)
    assert found.chi_square == pytest.approx(
        (observed - expected) ** 2 / variance, rel=1e-9, abs=1e-18
    )
    times, events = columns(one + other)
    arms = np.repeat([0, 1], [len(one), len(other)])
    assert (found.chi_square, found.p_value) == pytest.approx(
        survdiff(times, events, arms), rel=1e-6, abs=1e-9
    )


@pytest.mark.slow
@given(ROWS, st.sampled_from([0.5, 3.0, 7.5, 12.0]))
def test_restricted_mean_is_the_area_under_the_curve(rows: Rows, horizon: float) -> None:
    times = times_of(rows)
    found = restricted_mean(times, horizon=horizon)
    last = max(time for time, _ in rows)
    if any(time == last and not event for time, event in rows) and last < horizon:
        assert isnan(found.value)
        assert "horizon" in found.reason
        return
    # From the definition: the curve is constant within each half unit of time.
    curve = [(step.time, step.survival) for step in kaplan_meier(times)]
    starts = np.arange(0, horizon, 0.5)
    area = sum(([1.0] + [level for at, level in curve if at <= start])[-1] / 2 for start in starts)
    assert found.value == pytest.approx(area, rel=1e-9, abs=1e-12)


@pytest.mark.slow
@given(
    st.lists(st.integers(0, 12).map(float), min_size=2, max_size=25),
    st.lists(st.integers(0, 12).map(float), min_size=2, max_size=25),
)
def test_without_censoring_the_difference_is_welchs(
    control: list[float], treatment: list[float]
) -> None:
    cut = [Moments.from_array(np.minimum(arm, 7.0)) for arm in (control, treatment)]
    arms = [Times.from_array(arm, events=np.ones(len(arm))) for arm in (control, treatment)]
    found = restricted_mean_difference(*arms, horizon=7.0)
    expected = welch_difference(*cut)

    assert found.value == pytest.approx(expected.value, rel=1e-9, abs=1e-12)
    if min(moments.variance for moments in cut) == 0:
        assert not found.has_interval
        assert "do not vary" in found.reason
    else:
        assert (found.low, found.high, found.df) == pytest.approx(
            (expected.low, expected.high, expected.df), rel=1e-9, abs=1e-11
        )
        assert found.p_value == pytest.approx(expected.p_value, rel=1e-9)


@pytest.mark.slow
@given(ROWS, ROWS)
def test_parts_add_and_swapped_arms_mirror(one: Rows, other: Rows) -> None:
    control, treatment = times_of(one), times_of(other)
    assert control + treatment == times_of(one + other)
    assert control + Times() == control

    test, same = log_rank(control, treatment), log_rank(treatment, control)
    assert (test.chi_square, test.p_value) == pytest.approx(
        (same.chi_square, same.p_value), rel=1e-9, abs=1e-12, nan_ok=True
    )
    there = restricted_mean_difference(control, treatment, horizon=5.0)
    back = restricted_mean_difference(treatment, control, horizon=5.0)
    assert (there.value, there.low, there.p_value) == pytest.approx(
        (-back.value, -back.high, back.p_value), rel=1e-9, abs=1e-12, nan_ok=True
    )


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        pytest.param(Times(), SIX_MP, "no learner of the control", id="empty control"),
        pytest.param(SIX_MP, Times(), "no learner of this arm", id="empty arm"),
        pytest.param(Times(((50.0, 1, 0),)), PLACEBO, "fewer than two learners", id="one learner"),
        pytest.param(PLACEBO, Times(((50.0, 0, 9),)), "do not vary", id="no event"),
        pytest.param(PLACEBO, Times(((5.0, 9, 0),)), "do not vary", id="all at one time"),
        pytest.param(PLACEBO, Times(((5.0, 1, 9),)), "up to the horizon", id="lost"),
    ],
)
def test_what_is_not_known_has_a_reason(control: Times, treatment: Times, reason: str) -> None:
    found = restricted_mean_difference(control, treatment, horizon=20)

    assert reason in found.reason
    assert isnan(found.low)
    assert isnan(found.high)
    assert isnan(found.p_value)


def test_a_horizon_after_the_last_observation_is_refused() -> None:
    # lifelines carries the curve on beyond week 35 without a warning.
    assert isnan(restricted_mean(SIX_MP, horizon=35.1).value)
    # All of the placebo arm had relapsed by week 23, so its curve is known to be 0 from then on.
    assert restricted_mean(PLACEBO, horizon=40).value == pytest.approx(182 / 21)


def test_log_rank_without_a_common_time_has_a_reason() -> None:
    apart = log_rank(Times(((1.0, 0, 5),)), Times(((2.0, 3, 0),)))

    assert isnan(apart.p_value)
    assert "both arms" in apart.reason
    assert "no learner of the control" in log_rank(Times(), SIX_MP).reason


def test_curve_has_no_limits_where_nobody_is_left() -> None:
    assert kaplan_meier(Times()) == ()
    assert kaplan_meier(Times(((4.0, 0, 9),))) == ()
    last = kaplan_meier(PLACEBO)[-1]
    assert last.survival == 0
    assert isnan(last.standard_error)
    assert "nobody is left" in last.reason
    assert kaplan_meier(Times(((0.0, 1, 0),)))[0].survival == 0


def test_huge_times_and_counts_are_no_problem() -> None:
    scale = 1e200
    huge = Times(tuple((time * scale, events, lost) for time, events, lost in SIX_MP.counted))
    many = Times(
        tuple((time, events * 10**9, lost * 10**9) for time, events, lost in SIX_MP.counted)
    )

    found, expected = restricted_mean(huge, horizon=35 * scale), restricted_mean(SIX_MP, horizon=35)
    assert found.value / scale == pytest.approx(expected.value)
    assert found.standard_error / scale == pytest.approx(expected.standard_error)
    assert restricted_mean(many, horizon=35).value == pytest.approx(expected.value)
    assert log_rank(many, many).p_value == 1


@pytest.mark.parametrize(
    "counted",
    [((-1.0, 1, 0),), ((2.0, 1, 0), (1.0, 1, 0)), ((float("inf"), 1, 0),), ((1.0, -1, 2),),
     ((1.0, 0, 0),)],
)  # fmt: skip
def test_impossible_times_are_refused(counted: tuple[tuple[float, int, int], ...]) -> None:
    with pytest.raises(ValueError, match=r"Times must|are not counts"):
        Times(counted)


def test_impossible_arrays_and_horizons_are_refused() -> None:
    with pytest.raises(ValueError, match="event or its censoring"):
        Times.from_array([1.0, 2.0], events=[1])
    with pytest.raises(ValueError, match="horizon"):
        restricted_mean(SIX_MP, horizon=0)


@pytest.mark.slow
@pytest.mark.parametrize(("small", "large"), [(12, 12), (12, 60)])
def test_equal_arms_look_different_at_most_as_often_as_the_level_says(
    small: int, large: int
) -> None:
    # Exponential times with mean 1, censoring with mean 2 and at 1.5; 600 draws, horizon 1. With
    # normal limits and without m / (m - 1), 12 per arm would be rejected in 7 % of draws.
    rng = np.random.default_rng(20_250_901)
    rejected = 0
    for _ in range(600):
        arms = []
        for size in (small, large):
            event, lost = rng.exponential(1, size), np.minimum(rng.exponential(2, size), 1.5)
            arms.append(Times.from_array(np.minimum(event, lost), events=event <= lost))
        rejected += restricted_mean_difference(*arms, horizon=1).excludes_zero

    assert 0.02 <= rejected / 600 <= 0.068
