from math import isfinite, sqrt

import pytest

from experiments.metrics.definitions import METRICS, MORE_METRICS
from experiments.metrics.observed import Observed
from experiments.reporting.readings import reading_texts, readings
from experiments.reporting.report import Report, build_report
from experiments.stats.bayes import belief
from experiments.stats.pooling import pool
from experiments.stats.sequences import rate_sequence
from experiments.stats.sufficient import Counts
from tests.experiments.test_report import FACTS, arm

RATE = METRICS[0]


def rate(reached: int, n: int) -> Observed:
    return RATE.observe({(0,): n - reached, (1,): reached})


def of(control: tuple[int, int], nudge: tuple[int, int]) -> Report:
    return build_report(
        FACTS,
        arms=[arm("control", control[1]), arm("nudge", nudge[1])],
        metrics=[RATE],
        observed={"control": {RATE.key: rate(*control)}, "nudge": {RATE.key: rate(*nudge)}},
        deliveries={},
    )


COURSES = {
    "1": {"control": rate(10, 40), "nudge": rate(18, 40)},
    "2": {"control": rate(20, 60), "nudge": rate(24, 60)},
    "3": {"control": rate(8, 30), "nudge": rate(15, 30)},
    "4": {"control": rate(1, 3), "nudge": rate(2, 3)},
}


def test_the_belief_is_that_of_the_difference_and_a_tenth_of_the_spread() -> None:
    (found,) = readings(of((40, 100), (55, 100)), {})

    difference = rate_sequence(Counts(40, 100), Counts(55, 100), tuned_to=1.0)
    expected = belief(difference, prior_spread=0.1 * sqrt(0.4 * 0.6))
    assert found.belief == expected
    assert found.pooled is None
    assert 0 < expected.mean < 0.15


def test_courses_are_pooled_and_small_ones_are_left_out() -> None:
    report = of((39, 133), (59, 133))
    (found,) = readings(report, COURSES)

    effects = [
        rate_sequence(each["control"].sums, each["nudge"].sums, tuned_to=1.0)
        for each in COURSES.values()
    ]
    assert found.pooled == pool(effects)
    assert found.pooled is not None
    assert (found.pooled.courses, found.pooled.left_out) == (3, 1)
    text = " ".join(reading_texts(report, [found]))
    assert "Over 3 courses, the mean effect of “nudge” is +" in text
    assert "1 more have too few learners." in text
    assert "In another course like these, expect" in text


@pytest.mark.slow
def test_two_courses_do_not_say_how_a_third_would_be() -> None:
    report = of((30, 100), (42, 100))
    (found,) = readings(report, {key: COURSES[key] for key in ("1", "2")})

    assert "How courses differ is not known" in " ".join(reading_texts(report, [found]))


@pytest.mark.parametrize("numbers", [((0, 0), (0, 0)), ((1, 3), (2, 3))])
def test_nothing_is_believed_of_too_few(numbers: tuple[tuple[int, int], tuple[int, int]]) -> None:
    report = of(*numbers)
    found = readings(report, {})

    assert reading_texts(report, found) == []


def test_a_kind_without_a_spread_has_no_belief() -> None:
    metric = next(each for each in MORE_METRICS if each.key == "module_time_28d")
    observed = metric.observe({(24, 672): 10, (None, 672): 20})
    report = build_report(
        FACTS,
        arms=[arm("control", 30), arm("nudge", 30)],
        metrics=[metric],
        observed={key: {metric.key: observed} for key in ("control", "nudge")},
        deliveries={},
    )

    (found,) = readings(report, {})

    assert found.belief is None
    assert isfinite(report.primary.rows[0].lift)
