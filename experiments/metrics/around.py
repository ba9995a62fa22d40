"""Outcomes of the days before an instant and of as many days after it. Pure."""

from dataclasses import replace
from datetime import timedelta

from experiments.metrics.definitions import METRICS, MORE_METRICS, Metric
from experiments.metrics.outcomes import DaysActive

_ACTIVE = tuple(each for each in MORE_METRICS if isinstance(each.outcome, DaysActive))
# An outcome of one number per learner, by its key among the metrics of experiments.
_WORDS = {
    "quiz_attempted_7d": ("Quiz attempted", "of learners attempted a quiz"),
    "quiz_attempts_7d": ("Quiz attempts", "quiz attempts per learner"),
    "module_completed_7d": ("Module completed", "of learners completed a module"),
    "days_active_7d": ("Days active", "days active per learner"),
}


def metrics_around(days: int) -> tuple[Metric, ...]:
    """Return the outcomes with a window of so many 24-hour days.

    They are those of experiments, so that a page with both says the same of the same learners.
    """
    window = timedelta(hours=24 * days)
    return tuple(
        replace(each, name=_WORDS[each.key][0], words=_WORDS[each.key][1], window=window)
        for each in (*METRICS, *_ACTIVE)
    )
