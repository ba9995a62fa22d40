"""The kinds of outcome. Each defines its columns, its sums and its statistics. Pure.

A new kind needs a class here, its statistics in `experiments.stats`, and an entry in `KINDS`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np

from experiments.metrics.columns import (
    ActiveDays,
    Acts,
    Column,
    EventCount,
    Frequencies,
    HoursFollowed,
    HoursUntil,
    LeftCourse,
    ScoredAttempts,
)
from experiments.metrics.observed import Beside, Observed
from experiments.stats.adjusted import Rows
from experiments.stats.comparison import ADJUSTED, MEANS, RATES, RATIOS, TIMES, Family, Followed
from experiments.stats.joint import JointMoments
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.survival import Times

_DAY_HOURS = 24
# The name of the covariate in the notes of an adjustment.
BEFORE = "the same number before the draw"


class _Rate:
    """An outcome that a learner has or has not, computed from one number."""

    tallies: ClassVar[tuple[str, ...]] = ("successes",)
    families: ClassVar[dict[str, Family]] = {
        "score; Boschloo up to 100 an arm or if a cell expects below 5 (Berger-Boos in large)": (
            RATES
        ),
        "score, or Boschloo in small arms": RATES,
    }
    waits: ClassVar[bool] = True

    @staticmethod
    def value(number: Any) -> int:
        """Return 1 if the learner has the outcome, else 0."""
        return int(number > 0)

    def beside(self, column: Column) -> Beside:
        """Return the outcome beside the column."""
        return Beside(self, column)

    def observe(self, frequencies: Frequencies, *, window: timedelta) -> Observed:
        """Return how many assignments have the outcome."""
        n = sum(frequencies.values())
        reached = sum(times for (number,), times in frequencies.items() if self.value(number))
        return Observed(n, Counts(reached, n), ("successes", reached))


class _Mean:
    """An outcome that is one number of each learner."""

    tallies: ClassVar[tuple[str, ...]] = ("total",)
    families: ClassVar[dict[str, Family]] = {
        "Welch, with a permutation test in small or sparse arms": MEANS
    }
    waits: ClassVar[bool] = True

    @staticmethod
    def value(number: Any) -> int:
        """Return the number."""
        return int(number)

    def beside(self, column: Column) -> Beside:
        """Return the outcome beside the column."""
        return Beside(self, column)

    def observe(self, frequencies: Frequencies, *, window: timedelta) -> Observed:
        """Return the sum of the numbers and their distribution."""
        pairs = [(int(number), times) for (number,), times in frequencies.items()]
        total = sum(number * times for number, times in pairs)
        return Observed(
            sum(times for _, times in pairs), Moments.from_frequencies(pairs), ("total", total)
        )


@dataclass(frozen=True)
class _OfOneVerb:
    """An outcome computed from the number of events of one verb."""

    verb: str
    first_only: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the column with the number of events."""
        return (EventCount(self.verb, self.first_only),)


class Happened(_Rate, _OfOneVerb):
    """Whether there is any event of the verb. An arm has a share of learners."""

    kind: ClassVar[str] = "happened"


class Total(_Mean, _OfOneVerb):
    """The number of events of the verb. An arm has a mean per learner."""

    kind: ClassVar[str] = "total"


@dataclass(frozen=True)
class DaysActive(_Mean):
    """The number of days with an act. An arm has a mean per learner."""

    kind: ClassVar[str] = "days_active"

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the column with the number of days."""
        return (ActiveDays(),)


@dataclass(frozen=True)
class Inactive(_Rate):
    """Whether the learner does nothing at all. An arm has a share of learners."""

    kind: ClassVar[str] = "inactive"

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the column with the number of acts."""
        return (Acts(),)

    @staticmethod
    def value(number: Any) -> int:
        """Return 1 without an act, else 0."""
        return int(number == 0)


@dataclass(frozen=True)
class Left(_Rate):
    """Whether the learner leaves the course. An arm has a share of learners."""

    kind: ClassVar[str] = "left"

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the column that says whether the learner left."""
        return (LeftCourse(),)


@dataclass(frozen=True)
class PassRate:
    """The share of scored quiz attempts that are passed. Learners without an attempt add nothing.

    An arm has the ratio of its totals, and its learners are the units.
    """

    kind: ClassVar[str] = "pass_rate"
    tallies: ClassVar[tuple[str, ...]] = ("passed",)
    families: ClassVar[dict[str, Family]] = {"ratio of totals, delta method": RATIOS}
    waits: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns of passed and of all scored attempts."""
        return (ScoredAttempts(passed_only=True), ScoredAttempts())

    def beside(self, column: Column) -> None:
        """Return None: an arm's figure is not the mean of one number per learner."""

    def observe(self, frequencies: Frequencies, *, window: timedelta) -> Observed:
        """Return the sums of both columns and of their products."""
        rows: dict[tuple[int, ...], int] = {
            (int(top), int(bottom)): times for (top, bottom), times in frequencies.items()
        }
        sums = JointMoments.from_frequencies(rows)
        passed = sum(row[0] * times for row, times in rows.items())
        return Observed(sums.n, sums, ("passed", passed))


@dataclass(frozen=True)
class TimeTo:
    """The time until the first event of the verb. It counts from the first hour on.

    Learners without the event are censored at the window's end, or at the instant of the report if
    it comes first. Learners who leave the course stay without the event.
    """

    verb: str
    first_only: bool = False
    kind: ClassVar[str] = "time_to"
    tallies: ClassVar[tuple[str, ...]] = ("events",)
    families: ClassVar[dict[str, Family]] = {"restricted mean time": TIMES}
    waits: ClassVar[bool] = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns of the hours until the event, and of the hours followed."""
        return (HoursUntil(self.verb, self.first_only), HoursFollowed())

    def beside(self, column: Column) -> None:
        """Return None: an arm's figure is not the mean of one number per learner."""

    def observe(self, frequencies: Frequencies, *, window: timedelta) -> Observed:
        """Return the times in days, with the window as horizon."""
        counted: dict[int, list[int]] = {}
        for (until, followed), times in frequencies.items():
            # An event in the hour that has not ended counts in the next report.
            is_event = until is not None and until <= followed
            at = counted.setdefault(int(until if is_event else followed), [0, 0])
            at[0 if is_event else 1] += times
        rows = [(hours / _DAY_HOURS, at[0], at[1]) for hours, at in sorted(counted.items())]
        found = Times(tuple(rows))
        events = sum(happened for happened, _ in counted.values())
        return Observed(found.n, Followed(found, window / timedelta(days=1)), ("events", events))


@dataclass(frozen=True)
class Adjusted:
    """Another outcome, adjusted for the same number in the window before the draw."""

    of: Happened | Total
    kind: ClassVar[str] = "adjusted"
    tallies: ClassVar[tuple[str, ...]] = ("total",)
    families: ClassVar[dict[str, Family]] = {"Lin's adjustment, HC2": ADJUSTED}
    waits: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the outcome's column, and the same before the draw."""
        own = EventCount(self.of.verb, self.of.first_only)
        return (own, replace(own, is_before=True))

    def beside(self, column: Column) -> None:
        """Return None: an arm's figure is not the mean of one number per learner."""

    def observe(self, frequencies: Frequencies, *, window: timedelta) -> Observed:
        """Return the outcomes and the covariate, one row per learner."""
        rows = sorted(
            ((self.of.value(number), _or_nan(before), times)
             for (number, before), times in frequencies.items()),
            key=lambda row: (row[0], row[1] != row[1], row[1]),
        )  # fmt: skip
        outcomes, before = (_repeated(rows, column) for column in (0, 1))
        total = sum(number * times for number, _, times in rows)
        return Observed(outcomes.size, Rows(outcomes, {BEFORE: before}), ("total", total))


def _or_nan(number: Any) -> float:
    return float("nan") if number is None else float(number)


def _repeated(rows: Iterable[tuple[Any, ...]], column: int) -> Any:
    pairs = [(row[column], row[-1]) for row in rows]
    values = np.array([value for value, _ in pairs], dtype=np.float64)
    return np.repeat(values, [times for _, times in pairs])


KINDS: dict[str, type[Any]] = {
    each.kind: each
    for each in (Happened, Total, DaysActive, Inactive, Left, PassRate, TimeTo, Adjusted)
}
# Each name once, in the order of the kinds.
TALLIES = tuple(dict.fromkeys(name for each in KINDS.values() for name in each.tallies))
