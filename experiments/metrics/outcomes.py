"""The kinds of outcome: each knows its columns, its sums and its statistics. Pure.

A new kind is a class here, its statistics in `experiments.stats`, and its entry in `KINDS`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from experiments.metrics.columns import EventCount, Frequencies
from experiments.stats.comparison import MEANS, RATES, Family
from experiments.stats.sufficient import Counts, Moments


@dataclass(frozen=True)
class Observed:
    """An arm's outcomes in one metric.

    `sums` is what the family compares. `tally` is the count beside it, by the name of its column in
    files: a reader can check it by hand.
    """

    n: int
    sums: Any
    tally: tuple[str, int]


class Outcome(Protocol):
    """What a metric makes of an assignment's events."""

    kind: ClassVar[str]
    # The names that a tally of this kind may have.
    tallies: ClassVar[tuple[str, ...]]
    # The ways to analyze it, by the name that a plan holds. An old name stays for old plans.
    families: ClassVar[dict[str, Family]]

    @property
    def columns(self) -> tuple[EventCount, ...]:
        """Return the columns that the outcome is made of."""

    def observe(self, frequencies: Frequencies) -> Observed:
        """Return what an arm's assignments with these columns come to."""


@dataclass(frozen=True)
class _OfOneVerb:
    """What is made of the number of events of one verb."""

    verb: str
    first_only: bool = False

    @property
    def columns(self) -> tuple[EventCount, ...]:
        """Return the number of events."""
        return (EventCount(self.verb, self.first_only),)


class Happened(_OfOneVerb):
    """Whether there is an event of the verb at all: a share of learners."""

    kind: ClassVar[str] = "happened"
    tallies: ClassVar[tuple[str, ...]] = ("successes",)
    families: ClassVar[dict[str, Family]] = {"score, or Boschloo in small arms": RATES}

    def observe(self, frequencies: Frequencies) -> Observed:
        """Return how many have an event."""
        n = sum(frequencies.values())
        reached = sum(times for (number,), times in frequencies.items() if number > 0)
        return Observed(n, Counts(reached, n), ("successes", reached))


class Total(_OfOneVerb):
    """How many events of the verb there are: a mean per learner."""

    kind: ClassVar[str] = "total"
    tallies: ClassVar[tuple[str, ...]] = ("total",)
    families: ClassVar[dict[str, Family]] = {
        "Welch, with a permutation test in small or sparse arms": MEANS
    }

    def observe(self, frequencies: Frequencies) -> Observed:
        """Return how many events there are, and how they are spread."""
        pairs = [(int(number), times) for (number,), times in frequencies.items()]
        total = sum(number * times for number, times in pairs)
        return Observed(
            sum(times for _, times in pairs), Moments.from_frequencies(pairs), ("total", total)
        )


KINDS: dict[str, type[Any]] = {each.kind: each for each in (Happened, Total)}
TALLIES = tuple(name for each in KINDS.values() for name in each.tallies)
