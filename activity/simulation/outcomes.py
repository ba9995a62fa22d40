"""What each metric would be with and without the message, for the same learner. Pure.

Both are known because a history is drawn before any message, and a message does one thing only:
where the learner's coin shows 1, the first hand-off in the window adds one quiz attempt.
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
    """A learner with everything that happens without messages, in order of time."""

    learner: SimulatedLearner
    events: Sequence[Event]

    def instants(self, verb: str) -> list[datetime]:
        """Return when the verb happened, in order."""
        return [event["occurred_at"] for event in self.events if event["verb"] == verb]


@dataclass(frozen=True)
class Outcome:
    """One world's metrics of one assignment, each counted in its window."""

    quiz_attempted_7d: bool
    quiz_attempts_7d: int
    module_completed_7d: bool


@dataclass(frozen=True)
class Outcomes:
    """The two worlds of one assignment; in one of them the learner is messaged."""

    without: Outcome
    messaged: Outcome


@dataclass(frozen=True)
class Draw:
    """An assignment's two instants. `handed_off_at`: of its first message, for a ghost the instant
    at which it would have been; None if there was none."""

    assigned_at: datetime
    handed_off_at: datetime | None


def added_attempt_at(trace: Trace, draw: Draw) -> datetime | None:
    """Return when the message makes the learner attempt a quiz; None if it does not."""
    coin, handed_off_at = trace.learner.coin, draw.handed_off_at
    if handed_off_at is None or not coin.shows_one:
        return None
    if handed_off_at >= draw.assigned_at + WINDOW:
        return None
    at = handed_off_at + coin.delay
    # What would happen after the course is over is seen in no world.
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

    The window holds what happens from the assignment on, up to but not at its end.
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
    """Return for each metric the mean difference that the message makes; nan over nobody."""
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
