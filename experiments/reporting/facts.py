"""The facts that a report shows beside its numbers: experiment, courses, arms, deliveries. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple


@dataclass(frozen=True)
class CourseFacts:
    """A course of the population. `stopped_at` is the stopped clock of a simulated course.

    `is_seen`: the reader may see the course. Others count, but no text names them.
    """

    title: str
    is_live: bool
    stopped_at: datetime | None = None
    time_zone: str = "UTC"
    is_seen: bool = True
    # Since then the events of the course have not come as usual.
    held_since: datetime | None = None

    @property
    def draws(self) -> bool:
        """Return whether the course's learners are drawn when they enter a segment."""
        return self.is_live and self.stopped_at is None


@dataclass(frozen=True)
class ExperimentFacts:
    """The facts of an experiment that its report shows."""

    key: str
    name: str
    hypothesis: str
    population: str
    is_running: bool
    started_at: datetime | None
    stopped_at: datetime | None
    as_of: datetime
    level: float
    protocol_sha256: str
    courses: tuple[CourseFacts, ...]
    caps: tuple[str, ...] = ()
    # The p-values of several comparisons are corrected by Holm's method.
    is_corrected: bool = False
    # Counts above this percentile of all arms are cut to it, in a second reading of their means.
    cap_percentile: float = 99.0
    # Whole sections are drawn, so sections are what is compared.
    draws_sections: bool = False
    # The shares of the arms follow the outcomes, so only learners of one period are compared.
    is_adaptive: bool = False
    # The smallest difference of the primary outcome that would matter, in its unit.
    smallest_lift: float | None = None
    # The number of learners in all arms that the plan reckons with; None if it has none.
    expected_learners: int | None = None

    # What ends it by the plan: an instant, numbers, or the last of the looks.
    ends_at: datetime | None = None
    most_learners: int | None = None
    most_sections: int | None = None
    looks: tuple[datetime, ...] = ()
    # The percentage of learners in its part of an exclusion layer; None without one.
    layer_share: float | None = None

    @property
    def has_end(self) -> bool:
        """Return whether the plan says what ends it, so that the results cannot choose the end."""
        return bool(self.ends_at or self.most_learners or self.most_sections or self.looks)

    @property
    def pools_learners(self) -> bool:
        """Return whether an arm is compared as a whole, learner by learner."""
        return not (self.draws_sections or self.is_adaptive)

    @property
    def can_draw(self) -> bool:
        """Return whether more learners can be drawn."""
        return self.is_running and any(course.draws for course in self.courses)

    @property
    def zone(self) -> str:
        """Return the zone of the courses, in which the report writes instants."""
        return shared_zone(course.time_zone for course in self.courses)

    @property
    def simulated_share(self) -> float:
        """Return the share of the courses that are simulated (0..1)."""
        stopped = [course.stopped_at is not None for course in self.courses]
        return sum(stopped) / len(stopped) if stopped else 0.0

    @property
    def simulated_text(self) -> str:
        """Return that the learners, or some of them, are simulated; empty if none is."""
        share = self.simulated_share
        if not share:
            return ""
        return f"{'These' if share == 1 else 'Some of these'} learners are simulated."

    @property
    def is_over(self) -> bool:
        """Return whether all courses are simulated and stopped, so that nothing more can happen."""
        return all_clocks_stopped(self.courses)


def shared_zone(zones: Iterable[str]) -> str:
    """Return the one zone of the courses, or UTC if they have several or there is no course."""
    found = set(zones)
    return found.pop() if len(found) == 1 else "UTC"


def seen_titles(courses: Iterable[CourseFacts]) -> list[str]:
    """Return the titles of the courses that the reader may see."""
    return [course.title for course in courses if course.is_seen]


def all_clocks_stopped(courses: Sequence[CourseFacts]) -> bool:
    """Return whether there are courses and all their clocks are stopped. A stop is final."""
    return bool(courses) and all(course.stopped_at is not None for course in courses)


def clock_among(courses: Sequence[CourseFacts], *, now: datetime) -> datetime:
    """Return now, or the last stop of a clock if all clocks are stopped."""
    stops = [course.stopped_at for course in courses if course.stopped_at is not None]
    return max(stops) if all_clocks_stopped(courses) else now


class Fate(NamedTuple):
    """How deliveries ended: the outcome, and why they were not sent."""

    outcome: str
    reason: str = ""


# The fate of learners who have no delivery. It has learners and no deliveries.
NO_MESSAGE = Fate("none")


@dataclass(frozen=True)
class DeliveryCounts:
    """The number of deliveries with one fate, and the number of their learners."""

    deliveries: int = 0
    learners: int = 0


@dataclass(frozen=True)
class ArmFacts:
    """An arm with its intended weight, the number of its assignments and its deliveries.

    `first_at` and `last_at` are the first and the last draw into the arm.
    """

    key: str
    name: str
    is_control: bool
    weight: float
    assigned: int
    first_at: datetime | None = None
    last_at: datetime | None = None
    # The number of drawn sections, where whole sections are drawn.
    sections: int = 0
    deliveries: Mapping[Fate, DeliveryCounts] = field(default_factory=dict)


class ArmStart(NamedTuple):
    """An arm and its first draw; None while nobody was drawn into it."""

    name: str
    is_control: bool
    first_at: datetime | None


def first_result_at(starts: Iterable[ArmStart], *, window: timedelta) -> datetime | None:
    """Return when the first learners of the control and of another arm are counted, or None.

    `window` is the shortest time for which an outcome counts.
    """
    drawn = [(start.is_control, start.first_at) for start in starts if start.first_at is not None]
    control = min((at for is_control, at in drawn if is_control), default=None)
    other = min((at for is_control, at in drawn if not is_control), default=None)
    return None if control is None or other is None else max(control, other) + window
