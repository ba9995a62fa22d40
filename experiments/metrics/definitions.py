"""The metrics of experiments, and their form in a protocol. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from experiments.metrics.outcomes import KINDS, Happened, Outcome, Total
from experiments.stats.comparison import Family

# Exactly seven times 24 hours. In calendar days, a clock change would give some learners an hour
# more than others.
WEEK = timedelta(hours=7 * 24)
# The directions in which an outcome can be better.
HIGHER, LOWER = "higher", "lower"


class UnknownMetricError(ValueError):
    """This release cannot read the definition of a metric. The message is a sentence."""


@dataclass(frozen=True)
class Metric:
    """An outcome of an assignment, from assigned_at until before assigned_at + window.

    `words` follow a number in a sentence: "of learners attempted a quiz within 7 days".
    `analysis` is the name of one of the outcome's families. `better` is the direction that a course
    wants: "higher", or "lower" for an outcome such as unsubscribing.
    """

    key: str
    name: str
    window: timedelta
    outcome: Outcome
    words: str
    analysis: str
    # Protocols of earlier releases do not name it. All their outcomes are better when higher.
    better: str = HIGHER

    @property
    def family(self) -> Family:
        """Return the statistics that compare the arms."""
        return self.outcome.families[self.analysis]


_RATES, _MEANS = next(iter(Happened.families)), next(iter(Total.families))

METRICS = (
    Metric(
        "quiz_attempted_7d", "Quiz attempted within 7 days", WEEK, Happened("ATTEMPT_QUIZ"),
        "of learners attempted a quiz within 7 days", _RATES,
    ),
    Metric(
        "quiz_attempts_7d", "Quiz attempts within 7 days", WEEK, Total("ATTEMPT_QUIZ"),
        "quiz attempts per learner within 7 days", _MEANS,
    ),
    Metric(
        "module_completed_7d", "Module completed within 7 days", WEEK,
        Happened("COMPLETE_MODULE", first_only=True),
        "of learners completed a module within 7 days", _RATES,
    ),
)  # fmt: skip


def metric_definition(metric: Metric) -> dict[str, Any]:
    """Return the whole definition as plain data for a protocol."""
    return {
        "key": metric.key,
        "name": metric.name,
        "window_seconds": int(metric.window.total_seconds()),
        "outcome": {"kind": metric.outcome.kind, **vars(metric.outcome)},
        "words": metric.words,
        "analysis": metric.analysis,
        "better": metric.better,
    }


def read_metric(definition: Mapping[str, Any]) -> Metric:
    """Return the metric with this definition. Raise UnknownMetricError if it is unreadable."""
    try:
        fields = dict(definition)
        outcome = _read_outcome(dict(fields.pop("outcome")))
        window = timedelta(seconds=fields.pop("window_seconds"))
        metric = Metric(window=window, outcome=outcome, **fields)
    except (KeyError, TypeError, ValueError) as error:
        raise UnknownMetricError(_unreadable(definition, error)) from error
    if metric.analysis not in metric.outcome.families:
        raise UnknownMetricError(
            f"The metric {metric.key} needs the analysis “{metric.analysis}”, which this release "
            "of Nudgelab does not know."
        )
    if metric.better not in (HIGHER, LOWER):
        raise UnknownMetricError(_unreadable(definition, ValueError(f"better: {metric.better}")))
    return metric


def _read_outcome(fields: dict[str, Any]) -> Outcome:
    outcome: Outcome = KINDS[fields.pop("kind")](**fields)
    return outcome


def _unreadable(definition: object, error: Exception) -> str:
    key = definition.get("key", "without a key") if isinstance(definition, Mapping) else definition
    return f"This release of Nudgelab does not know how the metric {key} is defined ({error})."
