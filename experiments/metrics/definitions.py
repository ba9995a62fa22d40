"""The outcomes that experiments are judged by: what is counted, from the assignment on. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from experiments.stats.comparison import Outcomes
from experiments.stats.sufficient import Counts, Moments

# Exact: seven times 24 hours. In calendar days the night of a clock change would give some learners
# an hour more than others.
WEEK = timedelta(hours=7 * 24)


@dataclass(frozen=True)
class Metric:
    """An outcome of an assignment: the events with this verb, assigned_at <= instant < + window."""

    key: str
    name: str
    # binary: whether there is one at all; mean: how many there are.
    kind: str
    verb: str
    window: timedelta
    # Completes a number in a sentence: "of learners attempted ..." or "attempts a learner ...".
    words: str
    # Only a module's first event counts, as for the signal modules_completed: platforms send the
    # completion again at every later view.
    first_only: bool = False

    @property
    def is_rate(self) -> bool:
        """Return whether the metric is a share of learners."""
        return self.kind == "binary"


@dataclass(frozen=True)
class Sums:
    """A metric's sums over one arm's assignments whose window has ended."""

    n: int = 0
    # Assignments with at least one event, the number of events, and the sum of its squares.
    reached: int = 0
    total: int = 0
    squares: int = 0
    # How many assignments have each number of events.
    frequencies: tuple[tuple[int, int], ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, frequencies: Iterable[tuple[int, int]]) -> "Sums":
        """Return the sums of assignments given as numbers of events with how many have each."""
        pairs = tuple(sorted(frequencies))
        return cls(
            n=sum(times for _, times in pairs),
            reached=sum(times for number, times in pairs if number > 0),
            total=sum(number * times for number, times in pairs),
            squares=sum(number * number * times for number, times in pairs),
            frequencies=pairs,
        )

    def outcomes(self, metric: Metric) -> Outcomes:
        """Return what the statistics need for the metric's kind."""
        if metric.is_rate:
            return Counts(self.reached, self.n)
        if self.frequencies:
            return Moments.from_frequencies(self.frequencies)
        return Moments.from_sums(self.n, total=self.total, squares=self.squares)


METRICS = (
    Metric(
        "quiz_attempted_7d", "Quiz attempted within 7 days", "binary", "ATTEMPT_QUIZ", WEEK,
        "of learners attempted a quiz within 7 days",
    ),
    Metric(
        "quiz_attempts_7d", "Quiz attempts within 7 days", "mean", "ATTEMPT_QUIZ", WEEK,
        "quiz attempts a learner within 7 days",
    ),
    Metric(
        "module_completed_7d", "Module completed within 7 days", "binary", "COMPLETE_MODULE", WEEK,
        "of learners completed a module within 7 days", first_only=True,
    ),
)  # fmt: skip

_BY_KEY = {metric.key: metric for metric in METRICS}


def metric_of(key: str) -> Metric:
    """Return the metric with the key. Raise KeyError for an unknown one."""
    return _BY_KEY[key]
