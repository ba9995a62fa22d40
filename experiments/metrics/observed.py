"""Outcomes of an arm, what each kind of outcome has, and outcomes read beside another. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from experiments.metrics.columns import Column, Frequencies
from experiments.stats.comparison import MEANS, Family
from experiments.stats.sufficient import Moments


@dataclass(frozen=True)
class Observed:
    """An arm's outcomes in one metric.

    The family compares `sums`. `tally` is a count that a reader can check, with the name
    of its column in files. `frequencies` are those from which all of it was computed.
    """

    n: int
    sums: Any
    tally: tuple[str, int]
    frequencies: Frequencies = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Beside:
    """An outcome of one number per learner beside another column, which is 0 or 1.

    It is never stored in a protocol. Its sums are how many learners have each pair of values.
    """

    of: Any
    column: Column
    kind: ClassVar[str] = "beside"
    tallies: ClassVar[tuple[str, ...]] = ("having",)
    families: ClassVar[dict[str, Family]] = {}
    waits: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the outcome's column and the other one."""
        return (*self.of.columns, self.column)

    def beside(self, column: Column) -> None:
        """Return None: it has two numbers already."""

    def observe(self, frequencies: Frequencies, *, window: timedelta) -> Observed:
        """Return the number of learners by value and other column."""
        pairs: Counter[tuple[int, int]] = Counter()
        for (number, other), times in frequencies.items():
            pairs[self.of.value(number), int(other)] += times
        having = sum(times for (_, other), times in pairs.items() if other)
        return Observed(pairs.total(), dict(pairs), ("having", having))


@dataclass(frozen=True)
class Before:
    """A number of the time before the draw. It is never stored in a protocol.

    Learners whose number is not known are not counted.
    """

    column: Column
    kind: ClassVar[str] = "before"
    tallies: ClassVar[tuple[str, ...]] = ("total",)
    families: ClassVar[dict[str, Family]] = {"means": MEANS}
    waits: ClassVar[bool] = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the column of the number."""
        return (self.column,)

    def beside(self, column: Column) -> None:
        """Return None: it is no outcome of the experiment."""

    def observe(self, frequencies: Frequencies, *, window: timedelta) -> Observed:
        """Return the distribution of the known numbers."""
        pairs = [(int(number), n) for (number,), n in frequencies.items() if number is not None]
        moments = Moments.from_frequencies(pairs)
        return Observed(moments.n, moments, ("total", sum(number * n for number, n in pairs)))


class Outcome(Protocol):
    """The value that a metric computes from an assignment's events."""

    kind: ClassVar[str]
    # The names that a tally of this kind may have.
    tallies: ClassVar[tuple[str, ...]]
    # The possible analyses by their name in a protocol. Old names stay: old protocols hold them.
    families: ClassVar[dict[str, Family]]
    # Whether an assignment counts only once its window has ended.
    waits: ClassVar[bool]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns from which the outcome is computed."""

    def observe(self, frequencies: Frequencies, *, window: timedelta) -> Observed:
        """Return the outcomes of an arm whose assignments have these columns."""

    def beside(self, column: Column) -> Beside | None:
        """Return the outcome beside the column; None if it is not one number of each learner."""
