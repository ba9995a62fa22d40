from datetime import timedelta

import pytest

from experiments.metrics.definitions import METRICS, Sums, metric_of
from experiments.stats.sufficient import Counts, Moments


def test_the_three_metrics_and_their_windows() -> None:
    assert [(metric.key, metric.kind, metric.verb) for metric in METRICS] == [
        ("quiz_attempted_7d", "binary", "ATTEMPT_QUIZ"),
        ("quiz_attempts_7d", "mean", "ATTEMPT_QUIZ"),
        ("module_completed_7d", "binary", "COMPLETE_MODULE"),
    ]
    assert {metric.window for metric in METRICS} == {timedelta(hours=168)}


def test_sums_become_counts_for_a_rate_and_moments_for_a_mean() -> None:
    sums = Sums.of([(0, 1), (1, 1), (3, 1)])
    assert sums == Sums(n=3, reached=2, total=4, squares=10)

    assert sums.outcomes(metric_of("quiz_attempted_7d")) == Counts(2, 3)
    assert sums.outcomes(metric_of("quiz_attempts_7d")) == Moments.from_array([0, 1, 3])


def test_an_unknown_metric_raises() -> None:
    with pytest.raises(KeyError):
        metric_of("happiness")
