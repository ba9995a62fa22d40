"""The kinds of outcome. Each defines its columns, its sums and its statistics. Pure.

A new kind needs a class here, its statistics in `experiments.stats`, and an entry in `KINDS`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from experiments.metrics.columns import EventCount, Frequencies
from experiments.stats.comparison import MEANS, RATES, Family
from experiments.stats.sufficient import Counts, Moments


@dataclass(frozen=True)
class Observed:
    """An arm's outcomes in one metric.

    The family compares `sums`. `tally` is a count that a reader can check, with the name
    of its column in files.
    """

    n: int
    sums: Any
    tally: tuple[str, int]


class Outcome(Protocol):
    """The value that a metric computes from an assignment's events."""

    kind: ClassVar[str]
    # The names that a tally of this kind may have.
    tallies: ClassVar[tuple[str, ...]]
    # The possible analyses by their name in a protocol. Old names stay: old protocols hold them.
    families: ClassVar[dict[str, Family]]

    @property
    def columns(self) -> tuple[EventCount, ...]:
        """Return the columns from which the outcome is computed."""

    def observe(self, frequencies: Frequencies) -> Observed:
        """Return the outcomes of an arm whose assignments have these columns."""


@dataclass(frozen=True)
class _OfOneVerb:
    """An outcome computed from the number of events of one verb."""

    verb: str
    first_only: bool = False

    @property
    def columns(self) -> tuple[EventCount, ...]:
        """Return the column with the number of events."""
        return (EventCount(self.verb, self.first_only),)


class Happened(_OfOneVerb):
    """Whether there is any event of the verb. An arm has a share of learners."""

    kind: ClassVar[str] = "happened"
    tallies: ClassVar[tuple[str, ...]] = ("successes",)
    families: ClassVar[dict[str, Family]] = {"score, or Boschloo in small arms": RATES}

    def observe(self, frequencies: Frequencies) -> Observed:
        """Return how many assignments have an event."""
        n = sum(frequencies.values())
        reached = sum(times for (number,), times in frequencies.items() if number > 0)
        return Observed(n, Counts(reached, n), ("successes", reached))


class Total(_OfOneVerb):
    """The number of events of the verb. An arm has a mean per learner."""

    kind: ClassVar[str] = "total"
    tallies: ClassVar[tuple[str, ...]] = ("total",)
    families: ClassVar[dict[str, Family]] = {
        "Welch, with a permutation test in small or sparse arms": MEANS
    }

    def observe(self, frequencies: Frequencies) -> Observed:
        """Return the number of events and their distribution."""
        pairs = [(int(number), times) for (number,), times in frequencies.items()]
        total = sum(number * times for number, times in pairs)
        return Observed(
            sum(times for _, times in pairs), Moments.from_frequencies(pairs), ("total", total)
        )


KINDS: dict[str, type[Any]] = {each.kind: each for each in (Happened, Total)}
TALLIES = tuple(name for each in KINDS.values() for name in each.tallies)
