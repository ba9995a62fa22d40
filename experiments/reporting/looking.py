"""Looks at an experiment: planned ones for decisions, and an interval for any other time. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from experiments.metrics.definitions import Metric
from experiments.metrics.observed import Observed
from experiments.reporting.compared import sequences_of
from experiments.reporting.facts import ArmFacts
from experiments.stats.comparison import Comparison
from experiments.stats.estimate import Estimate
from experiments.stats.looks import Look, PlannedLook

_MOST_DAYS = 60


@dataclass(frozen=True)
class Decision:
    """A planned look that is due: its instant, what it takes, and each arm against the control.

    The comparisons are of the learners counted by that instant, at the level of the look.
    """

    at: datetime
    look: Look
    comparisons: Sequence[Comparison]

    @property
    def decides(self) -> bool:
        """Return whether the experiment may end here: a difference is found, or no look is left."""
        return self.look.is_final or any(each.difference.excludes_zero for each in self.comparisons)


@dataclass(frozen=True)
class Looking:
    """The planned looks, the latest one that is due, and the intervals for any time by arm key."""

    planned: tuple[datetime, ...]
    made: Decision | None
    next_at: datetime | None
    sequences: Mapping[str, Estimate]

    @property
    def is_final(self) -> bool:
        """Return whether the last of the planned looks is due."""
        return self.made is not None and self.made.look.is_final

    def stands(self, arm: str) -> bool:
        """Return whether a difference of the arm was found in a way that allows looking early."""
        if self.made is not None:
            at_look = next(each for each in self.made.comparisons if each.arm == arm)
            if at_look.difference.excludes_zero:
                return True
        return self.sequences[arm].excludes_zero


@dataclass(frozen=True)
class Moment:
    """The difference of one arm from the control among those drawn up to a day.

    Its interval holds on all days together.
    """

    day: str
    arm: ArmFacts
    difference: Estimate


def moments_over_time(
    over_time: Mapping[str, Mapping[str, Observed]],
    *,
    primary: Metric,
    arms: Sequence[ArmFacts],
    tuned_to: float,
    level: float,
) -> list[Moment]:
    """Return each day's difference per arm, from the outcomes of `outcomes_over_time`."""
    nobody = primary.observe({})
    found = []
    for day, observed in _thinned(over_time):
        outcomes = {arm.key: observed.get(arm.key, nobody) for arm in arms}
        by_arm = sequences_of(primary, arms, outcomes, tuned_to=tuned_to, level=level)
        found += [Moment(day, arm, by_arm[arm.key]) for arm in arms if not arm.is_control]
    return found


def _thinned(
    over_time: Mapping[str, Mapping[str, Observed]],
) -> list[tuple[str, Mapping[str, Observed]]]:
    """Return at most as many days as a plot can show, the last one among them."""
    days = list(over_time.items())
    step = -(-len(days) // _MOST_DAYS) or 1
    return days[::-1][::step][::-1]


def planned_looks(instants: Sequence[datetime], *, expected: int) -> list[PlannedLook]:
    """Return the looks with equal shares of the expected learners between them."""
    number = len(instants)
    return [
        PlannedLook(at.date(), expected * place / number)
        for place, at in enumerate(instants, start=1)
    ]
