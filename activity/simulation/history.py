"""Draw the history of one learner: sessions with tasks from the first day to the last. Pure."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from activity.simulation.course import (
    DAYS_A_WEEK,
    LAST_DAY,
    PASS_MARK,
    TIME_ZONE,
    Module,
    SimulatedCourse,
)
from activity.simulation.learners import HABITS, HISTORY, Habits, SimulatedLearner, stream
from common.clock import local_midnight

Event = dict[str, Any]

SOURCE = "simulator"
_DAY = timedelta(days=1)
_SCORE_SPREAD = 0.13
_EARLIEST_HOUR, _LATEST_HOUR = 7.0, 22.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 9, 28
_RETURN_RATE = 0.65
# Learners study on usual weekdays of their own. If days were drawn independently, every learner
# would look active from time to time.
_ON_USUAL_DAYS, _ON_OTHER_DAYS = 0.95, 0.005


@dataclass(frozen=True)
class Task:
    """One task in a module. The kind "module" means the module itself."""

    verb: str
    kind: str
    module: Module
    score: float | None = None

    @property
    def item(self) -> str:
        """Return the key of the task's item."""
        return self.module.key if self.kind == "module" else self.module.item_key(self.kind)


@dataclass(frozen=True)
class Session:
    """One visit: a login and the tasks after it, in order."""

    begins_at: datetime
    tasks: Sequence[Task]


def draw_history(course: SimulatedCourse, learner: SimulatedLearner, *, seed: int) -> list[Event]:
    """Return the learner's canonical events in order of time, without the effect of messages."""
    rng = stream(seed, learner.index, HISTORY)
    ends_at = course_ends_at()
    timed = [
        (at, task)
        for session in _sessions(course, learner, rng)
        for at, task in _times(session, rng)
        if at < ends_at
    ]
    timed.sort(key=lambda pair: pair[0])
    prefix = f"{course.key}:{seed}:{learner.index}"
    return [
        event_of(course, learner, at, task) | {"source_id": f"{prefix}:{number}"}
        for number, (at, task) in enumerate(timed)
    ]


def course_ends_at() -> datetime:
    """Return the last whole minute of the course. A minute later no enrollment is in scope."""
    return local_midnight(LAST_DAY + _DAY, TIME_ZONE) - timedelta(minutes=1)


def event_of(
    course: SimulatedCourse, learner: SimulatedLearner, at: datetime, task: Task | None
) -> Event:
    """Return the canonical event of a task, or of a login without a task. It has no source_id."""
    event: Event = {
        "course": course.key,
        "learner": learner.external_id,
        "verb": task.verb if task else "LOGIN",
        "occurred_at": at,
        "source": SOURCE,
    }
    if task:
        event["item"] = task.item
    if task and task.score is not None:
        event["score"] = task.score
    return event


def _sessions(
    course: SimulatedCourse, learner: SimulatedLearner, rng: np.random.Generator
) -> Iterator[Session]:
    habits = HABITS[learner.kind]
    away = _draw_pause(course, habits, rng)
    usual_days = _draw_usual_days(habits, rng)
    usual_hour = rng.normal(17, 3)
    agenda: deque[Task] = deque()
    begun: set[int] = set()
    for day in _days(learner.enrolled_on):
        rate = _ON_USUAL_DAYS if day.weekday() in usual_days else _ON_OTHER_DAYS
        if day in away or rng.random() >= rate:
            continue
        module = course.module_on(day)
        if module.number not in begun:
            begun.add(module.number)
            agenda.extend(_draw_agenda(module, habits, rng))
        yield Session(_begin(day, usual_hour, rng), _next_tasks(agenda, module, habits, rng))


def _days(first: date) -> Iterator[date]:
    return (first + timedelta(days=offset) for offset in range((LAST_DAY - first).days + 1))


def _draw_usual_days(habits: Habits, rng: np.random.Generator) -> frozenset[int]:
    """Return the weekdays (0 is Monday) on which the learner usually studies."""
    whole, part = divmod(habits.days_a_week, 1)
    number = int(whole) + (rng.random() < part)
    return frozenset(rng.permutation(DAYS_A_WEEK)[:number].tolist())


def _draw_pause(
    course: SimulatedCourse, habits: Habits, rng: np.random.Generator
) -> frozenset[date]:
    """Return the days of the learner's pause."""
    if rng.random() >= habits.pause_rate:
        return frozenset()
    first = course.starts_on + timedelta(days=int(rng.integers(4, max(5, course.days * 2 // 3))))
    length = int(rng.integers(_SHORTEST_PAUSE, _LONGEST_PAUSE + 1))
    returns = rng.random() < _RETURN_RATE
    return frozenset(
        first + timedelta(days=day) for day in range(length if returns else course.days)
    )


def _draw_agenda(module: Module, habits: Habits, rng: np.random.Generator) -> list[Task]:
    """Return the tasks that the learner will do in the module, now or later."""
    studied = [
        Task("VIEW_MODULE", "module", module),
        Task("PLAY_VIDEO", "video", module),
        Task("COMPLETE_ITEM", "video", module),
        Task("VIEW_ITEM", "page", module),
        Task("COMPLETE_ITEM", "page", module),
        Task("DOWNLOAD_RESOURCE", "resource", module),
        Task("COMPLETE_ITEM", "resource", module),
    ]
    proven = _draw_attempts(module, habits, rng) + _draw_submission(module, habits, rng)
    finished = rng.random() < habits.finish_rate
    return studied + proven + ([Task("COMPLETE_MODULE", "module", module)] if finished else [])


def _draw_attempts(module: Module, habits: Habits, rng: np.random.Generator) -> list[Task]:
    if rng.random() >= habits.quiz_rate:
        return []
    first, second = (Task("ATTEMPT_QUIZ", "quiz", module, _draw_score(habits, rng)) for _ in "12")
    failed = first.score is not None and first.score < PASS_MARK
    return [first, second] if failed and rng.random() < habits.retry_rate else [first]


def _draw_submission(module: Module, habits: Habits, rng: np.random.Generator) -> list[Task]:
    if rng.random() >= habits.submit_rate:
        return []
    score = _draw_score(habits, rng)
    return [
        Task("START_ASSIGNMENT", "assignment", module),
        Task("SUBMIT_ASSIGNMENT", "assignment", module, score),
    ]


def _draw_score(habits: Habits, rng: np.random.Generator) -> float:
    return round(float(np.clip(rng.normal(habits.skill, _SCORE_SPREAD), 0, 1)), 4)


def _begin(day: date, usual_hour: float, rng: np.random.Generator) -> datetime:
    hour = float(np.clip(rng.normal(usual_hour, 2), _EARLIEST_HOUR, _LATEST_HOUR))
    # Never on a whole hour: the demo's clock stops at whole hours, and no event may coincide.
    seconds = int(hour) * 3600 + int(rng.integers(1, 3600))
    return local_midnight(day, TIME_ZONE) + timedelta(seconds=seconds)


def _next_tasks(
    agenda: deque[Task], module: Module, habits: Habits, rng: np.random.Generator
) -> list[Task]:
    count = 1 + int(rng.poisson(habits.tasks_a_session - 1))
    tasks = [agenda.popleft() for _ in range(min(count, len(agenda)))]
    # A learner who has finished all tasks looks at an item again.
    return tasks or [
        Task("PLAY_VIDEO", "video", module)
        if rng.random() < 0.5
        else Task("VIEW_ITEM", "page", module)
    ]


def _times(session: Session, rng: np.random.Generator) -> Iterator[tuple[datetime, Task | None]]:
    at = session.begins_at
    yield at, None
    for task in session.tasks:
        at += timedelta(seconds=int(rng.integers(61, 900)))
        # For the same reason as in _begin.
        at += timedelta(seconds=1 if at.second == 0 else 0)
        yield at, task
