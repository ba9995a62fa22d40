"""The metrics of experiments, and their form in a protocol. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from experiments.metrics.columns import Frequencies
from experiments.metrics.observed import Observed, Outcome
from experiments.metrics.outcomes import (
    KINDS,
    Adjusted,
    DaysActive,
    Happened,
    Inactive,
    Left,
    PassRate,
    TimeTo,
    Total,
)
from experiments.stats.comparison import Family

# Exactly seven times 24 hours. In calendar days, a clock change would give some learners an hour
# more than others.
WEEK = timedelta(hours=7 * 24)
FOUR_WEEKS = 4 * WEEK
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

    def observe(self, frequencies: Frequencies) -> Observed:
        """Return the outcomes of an arm whose assignments have the outcome's columns."""
        found = self.outcome.observe(frequencies, window=self.window)
        return replace(found, frequencies=frequencies)


def _analysis(outcome: type[Any]) -> str:
    """Return the name of the newest analysis of a kind of outcome."""
    names: dict[str, Family] = outcome.families
    return next(iter(names))


_RATES, _MEANS = _analysis(Happened), _analysis(Total)

# An experiment has these outcomes if nothing else is chosen. The first is the primary one.
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

MORE_METRICS = (
    Metric(
        "quiz_attempts_7d_adjusted", "Quiz attempts within 7 days, adjusted for the week before",
        WEEK, Adjusted(Total("ATTEMPT_QUIZ")),
        "quiz attempts per learner within 7 days", _analysis(Adjusted),
    ),
    Metric(
        "quiz_pass_rate_7d", "Pass rate of quiz attempts within 7 days", WEEK, PassRate(),
        "of scored quiz attempts within 7 days were passed", _analysis(PassRate),
    ),
    Metric(
        "days_active_7d", "Days active within 7 days", WEEK, DaysActive(),
        "days active per learner within 7 days", _MEANS,
    ),
    Metric(
        "module_time_28d", "Time to the next completed module, up to 28 days", FOUR_WEEKS,
        TimeTo("COMPLETE_MODULE", first_only=True),
        "on average until a module was completed (28 days if none was)", _analysis(TimeTo),
        LOWER,
    ),
)  # fmt: skip

# Outcomes that must not become worse, with the largest harm that is accepted by default.
GUARDRAILS = (
    (Metric(
        "unsubscribed_7d", "Unsubscribed within 7 days", WEEK, Happened("UNSUBSCRIBED"),
        "of learners unsubscribed within 7 days", _RATES, LOWER,
    ), 0.02),
    (Metric(
        "complained_7d", "Marked a message as spam within 7 days", WEEK,
        Happened("EMAIL_COMPLAINED"),
        "of learners marked a message as spam within 7 days", _RATES, LOWER,
    ), 0.01),
    (Metric(
        "inactive_7d", "Did nothing within 7 days", WEEK, Inactive(),
        "of learners did nothing in the course within 7 days", _RATES, LOWER,
    ), 0.1),
    (Metric(
        "left_7d", "Left the course within 7 days", WEEK, Left(),
        "of learners left the course within 7 days", _RATES, LOWER,
    ), 0.05),
)  # fmt: skip


def metric_definition(metric: Metric) -> dict[str, Any]:
    """Return the whole definition as plain data for a protocol."""
    return {
        "key": metric.key,
        "name": metric.name,
        "window_seconds": int(metric.window.total_seconds()),
        "outcome": _outcome_definition(metric.outcome),
        "words": metric.words,
        "analysis": metric.analysis,
        "better": metric.better,
    }


def _outcome_definition(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as plain data. An outcome of another one holds that one's definition."""
    fields = {
        name: _outcome_definition(value) if hasattr(value, "kind") else value
        for name, value in vars(outcome).items()
    }
    return {"kind": outcome.kind, **fields}


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
    kind = KINDS[fields.pop("kind")]
    values = {
        name: _read_outcome(dict(value)) if isinstance(value, Mapping) else value
        for name, value in fields.items()
    }
    outcome: Outcome = kind(**values)
    return outcome


def _unreadable(definition: object, error: Exception) -> str:
    key = definition.get("key", "without a key") if isinstance(definition, Mapping) else definition
    return f"This release of Nudgelab does not know how the metric {key} is defined ({error})."
