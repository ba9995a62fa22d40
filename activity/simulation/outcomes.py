"""Compute each metric with and without the message, for the same learner. Pure.

Both values are known, because a history is drawn before any message and a message has only one
effect: if the learner's coin shows 1, the first hand-off in the window adds one quiz attempt.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from activity.simulation.course import LAST_DAY, TIME_ZONE, SimulatedCourse
from activity.simulation.history import Event, Task, course_ends_at, event_of
from activity.simulation.learners import SimulatedLearner
from common.clock import local_date

WINDOW = timedelta(days=7)


@dataclass(frozen=True)
class Trace:
    """A learner and the events that happen without messages, in order of time."""

    learner: SimulatedLearner
    events: Sequence[Event]

    def instants(self, verb: str) -> list[datetime]:
        """Return the instants of the verb's events, in order."""
        return [event["occurred_at"] for event in self.events if event["verb"] == verb]


@dataclass(frozen=True)
class Outcome:
    """The metrics of one assignment in one world, each counted in its window."""

    quiz_attempted_7d: bool
    quiz_attempts_7d: int
    module_completed_7d: bool


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of one assignment in two worlds: without a message and with it."""

    without: Outcome
    messaged: Outcome


@dataclass(frozen=True)
class Draw:
    """The two instants of an assignment.

    `handed_off_at` is the hand-off of its first message. For a ghost it is the instant of the
    hand-off that was left out. None: there was no message.
    """

    assigned_at: datetime
    handed_off_at: datetime | None


def added_attempt_at(trace: Trace, draw: Draw) -> datetime | None:
    """Return when the message makes the learner attempt a quiz, or None if it has no effect."""
    coin, handed_off_at = trace.learner.coin, draw.handed_off_at
    if handed_off_at is None or not coin.shows_one:
        return None
    if handed_off_at >= draw.assigned_at + WINDOW:
        return None
    at = handed_off_at + coin.delay
    # An attempt after the end of the course counts in neither world.
    return at if at < course_ends_at() else None


def added_event(course: SimulatedCourse, trace: Trace, draw: Draw) -> Event | None:
    """Return the canonical event of the added quiz attempt, on the quiz of that day's module."""
    at = added_attempt_at(trace, draw)
    if at is None:
        return None
    module = course.module_on(min(local_date(at, TIME_ZONE), LAST_DAY))
    task = Task("ATTEMPT_QUIZ", "quiz", module, trace.learner.coin.score)
    source_id = f"{course.key}:added:{trace.learner.unit_key}"
    return event_of(course, trace.learner, at, task) | {"source_id": source_id}


def outcomes(trace: Trace, draw: Draw) -> Outcomes:
    """Return the metrics of an assignment in both worlds.

    The window begins with the assignment, which is included. Its end is not included.
    """
    attempts = _within(trace.instants("ATTEMPT_QUIZ"), draw.assigned_at)
    completed = _within(trace.instants("COMPLETE_MODULE"), draw.assigned_at) > 0
    at = added_attempt_at(trace, draw)
    more = _within([at], draw.assigned_at) if at else 0
    return Outcomes(
        without=Outcome(attempts > 0, attempts, completed),
        messaged=Outcome(attempts + more > 0, attempts + more, completed),
    )


def true_lift(pairs: Iterable[Outcomes]) -> dict[str, float]:
    """Return for each metric the mean effect of the message; nan without any assignment."""
    known = list(pairs)
    return {
        metric: _mean(
            [_value(pair.messaged, metric) - _value(pair.without, metric) for pair in known]
        )
        for metric in Outcome.__dataclass_fields__
    }


def _value(outcome: Any, metric: str) -> float:
    return float(getattr(outcome, metric))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def _within(instants: Sequence[datetime], assigned_at: datetime) -> int:
    return bisect_left(instants, assigned_at + WINDOW) - bisect_left(instants, assigned_at)
