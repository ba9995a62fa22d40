import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from experiments.metrics.definitions import (
    GUARDRAILS,
    METRICS,
    MORE_METRICS,
    WEEK,
    Metric,
    UnknownMetricError,
    metric_definition,
    read_metric,
)
from experiments.metrics.observed import Observed
from experiments.metrics.outcomes import KINDS, TALLIES, Happened, Total
from experiments.stats.sufficient import Counts, Moments

ATTEMPTED = METRICS[0]
ALL = (*METRICS, *MORE_METRICS, *(metric for metric, _ in GUARDRAILS))


def test_the_three_metrics_and_their_windows() -> None:
    assert [(metric.key, metric.outcome) for metric in METRICS] == [
        ("quiz_attempted_7d", Happened("ATTEMPT_QUIZ")),
        ("quiz_attempts_7d", Total("ATTEMPT_QUIZ")),
        ("module_completed_7d", Happened("COMPLETE_MODULE", first_only=True)),
    ]
    assert {metric.window for metric in METRICS} == {timedelta(hours=168)}


def test_happened_is_a_rate_and_total_is_a_mean() -> None:
    frequencies = {(0,): 1, (1,): 1, (3,): 1}

    assert Happened("PLAY_VIDEO").observe(frequencies, window=WEEK) == Observed(
        3, Counts(2, 3), ("successes", 2)
    )
    assert Total("PLAY_VIDEO").observe(frequencies, window=WEEK) == Observed(
        3, Moments.from_array([0, 1, 3]), ("total", 4)
    )


def test_every_kind_is_offered_to_an_experiment() -> None:
    assert {metric.outcome.kind for metric in ALL} == KINDS.keys()
    assert len({metric.key for metric in ALL}) == len(ALL)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.key)
def test_every_metric_can_be_observed_in_an_empty_arm_and_compared(metric: Metric) -> None:
    outcome = metric.outcome
    nobody = metric.observe({})

    assert (nobody.n, nobody.tally[1]) == (0, 0)
    assert nobody.tally[0] in TALLIES
    for family in outcome.families.values():
        difference, relative = family.compare(nobody.sums, nobody.sums, 0.95)
        assert difference.reason
        assert relative.reason


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.key)
def test_a_definition_holds_the_whole_metric(metric: Any) -> None:
    stored = json.loads(json.dumps(metric_definition(metric)))

    assert read_metric(stored) == metric
    assert read_metric(stored).family is metric.family


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": {"kind": "hoped for", "verb": "ATTEMPT_QUIZ"}},
        {"outcome": {"kind": "total", "verb": "ATTEMPT_QUIZ", "color": "red"}},
        {"outcome": {"kind": "total"}},
        {"color": "red"},
        {"window_seconds": "a week"},
        {"analysis": "horoscope"},
    ],
)
def test_a_definition_of_a_later_release_is_refused_with_a_sentence(change: dict[str, Any]) -> None:
    with pytest.raises(UnknownMetricError, match=r"release of Nudgelab does not know.*\.$"):
        read_metric(metric_definition(ATTEMPTED) | change)


def test_a_metric_is_analyzed_by_the_method_that_its_definition_names() -> None:
    with pytest.raises(KeyError):
        _ = replace(ATTEMPTED, analysis="binray").family
