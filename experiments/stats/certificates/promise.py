"""A promise of the statistics, and the certificate of what was measured."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import inf, sqrt

# The same seed for every promise, so that each can be repeated alone.
SEED = 20_261_130


@dataclass(frozen=True)
class Measured:
    """A number with its Monte Carlo standard error, 0 if it was counted exactly."""

    value: float
    error: float = 0.0


class Subject(StrEnum):
    """What a promise is about, in the order of the tables."""

    SECTIONS = "sections"
    RATES = "rates"
    COUNTS = "counts"
    AGREEMENT = "agreement"
    BALANCE = "arm sizes"
    SEQUENCE = "looks at any time"
    LOOKS = "planned looks"
    ADAPTIVE = "adaptive draws"


@dataclass(frozen=True)
class Promise:
    """What a number shall be, from `low` to `high`, and how it is measured."""

    subject: Subject
    what: str
    measure: Callable[[], Measured]
    high: float = inf
    low: float = -inf

    def check(self) -> "Certificate":
        """Measure, and return the certificate."""
        return Certificate(self, self.measure())


@dataclass(frozen=True)
class Certificate:
    """A promise with what was measured."""

    promise: Promise
    measured: Measured

    @property
    def is_met(self) -> bool:
        """Return whether the number is what it shall be."""
        return self.promise.low <= self.measured.value <= self.promise.high

    @property
    def is_possible(self) -> bool:
        """Return whether it may be so up to three errors, which is all that few runs can say."""
        room = 3 * self.measured.error
        value = self.measured.value
        return self.promise.low - room <= value <= self.promise.high + room


def share(times: int, runs: int) -> Measured:
    """Return a share of simulated runs, with its standard error.

    The error has one run more of either kind, so that it is not 0 for a share of 0.
    """
    rate = (times + 1) / (runs + 2)
    return Measured(times / runs, sqrt(rate * (1 - rate) / runs))
