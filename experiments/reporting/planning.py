"""Sentences on what two halves of learners can show, before an experiment starts. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from common.dates import day_text
from experiments.metrics.observed import Observed
from experiments.stats.power import POWER, Detectable, detectable_difference, needed_per_arm

# The share of fewer learners would be too rough to plan with.
FEWEST = 20
# Where nothing is known. At one half, a difference is hardest to see.
ASSUMED = 0.5
TEN_POINTS = 0.1


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
            "It is not known well enough how many attempt a quiz without it, so "
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
    found = detectable_difference(in_each_half, in_each_half, baseline=known.rate)
    if in_each_half:
        yield _finding(in_each_half, found, known)
    else:
        yield (
            "It is not known how many learners will enter, so nobody can say yet what this would "
            "show."
        )
    is_out_of_reach = bool(found.reason) or found.rise > TEN_POINTS
    if is_out_of_reach and known.rate + TEN_POINTS <= 1:
        number = needed_per_arm(baseline=known.rate, lift=TEN_POINTS)
        yield f"A difference of 10 percentage points takes about {number:,} learners in each half."
    yield known.source


def _finding(in_each_half: int, found: Detectable, known: UsualShare) -> str:
    halves = f"With {in_each_half:,} and {in_each_half:,} learners"
    given = f"if {known.rate:.0%} attempt a quiz without it"
    if found.reason:
        return f"{halves} no difference could be seen ({given}): {found.reason}."
    return (
        f"{halves} you would see only a difference of about {_points(found.rise)} or more "
        f"({given}). Smaller help stays unseen. Even help of that size is seen in only "
        f"{round(POWER * 5)} of 5 such experiments."
    )


def _points(rise: float) -> str:
    """Return the rise in whole percentage points, rounded up: less would promise too much."""
    points = ceil(rise * 100 - 1e-6)
    return "1 percentage point" if points == 1 else f"{points:,} percentage points"
