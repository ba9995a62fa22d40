"""Sentences on what two halves of learners can show, before an experiment starts. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from common.dates import day_text
from experiments.metrics.outcomes import Observed
from experiments.stats.power import POWER, detectable_difference

# The share of fewer learners would be too rough to plan with.
FEWEST = 20
# Where nothing is known. At one half, a difference is hardest to see.
ASSUMED = 0.5


@dataclass(frozen=True)
class UsualShare:
    """The share of learners who attempt a quiz without the messages, and how it is known."""

    rate: float
    source: str


def usual_share(observed: Observed, *, since: datetime, until: datetime, zone: str) -> UsualShare:
    """Return the share among learners who entered in the time, or an assumed one if they are few.

    It is a whole percentage, so that the sentences agree with each other.
    """
    if observed.n < FEWEST:
        return UsualShare(
            ASSUMED,
            "Too few learners entered before to know how many attempt a quiz without it, so "
            f"{ASSUMED:.0%} is assumed.",
        )
    reached = observed.tally[1]
    rate = round(reached / observed.n, 2)
    days = f"from {day_text(since, zone=zone)} to {day_text(until, zone=zone)}"
    return UsualShare(
        rate,
        f"The {rate:.0%} is measured: of the {observed.n:,} learners who entered {days}, "
        f"{reached:,} attempted a quiz within 7 days.",
    )


def findings(in_each_half: int, known: UsualShare) -> Iterator[str]:
    """Yield what halves of this size can show, and from which share this is reckoned."""
    if not in_each_half:
        yield (
            "It is not known how many learners will enter, so nobody can say yet what this would "
            "show."
        )
        return
    halves = f"With {in_each_half:,} and {in_each_half:,} learners"
    found = detectable_difference(in_each_half, in_each_half, baseline=known.rate)
    given = f"if {known.rate:.0%} attempt a quiz without it"
    if found.reason:
        yield f"{halves} no difference could be seen ({given}): {found.reason}."
    else:
        yield (
            f"{halves} you would see only a difference of about {_points(found.rise)} or more "
            f"({given}). Smaller help stays unseen. Even help of that size is seen in only "
            f"{round(POWER * 5)} of 5 such experiments."
        )
    yield known.source


def _points(rise: float) -> str:
    """Return the rise in whole percentage points, rounded up: less would promise too much."""
    points = ceil(rise * 100 - 1e-6)
    return "1 percentage point" if points == 1 else f"{points:,} percentage points"
