"""Simulate a whole course from one seed, and write it as lines for import_jsonl. Pure."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from operator import itemgetter
from typing import Any

from activity.simulation.course import SimulatedCourse, course_line, item_lines, section_lines
from activity.simulation.history import Event, draw_history
from activity.simulation.learners import draw_learner, enrollment_line, learner_line
from activity.simulation.outcomes import Trace

DEFAULT_PROBABILITY = 0.35


@dataclass(frozen=True)
class World:
    """The course and everything that happens in it without the effect of messages."""

    course: SimulatedCourse
    traces: Sequence[Trace]

    @cached_property
    def by_learner(self) -> dict[str, Trace]:
        """Return the traces by the learner's external id."""
        return {trace.learner.external_id: trace for trace in self.traces}

    def events(self) -> Iterator[Event]:
        """Yield the events of all learners in order of time."""
        return heapq.merge(*(trace.events for trace in self.traces), key=itemgetter("occurred_at"))


def simulate(
    course: SimulatedCourse, learners: int, *, seed: int, probability: float = DEFAULT_PROBABILITY
) -> World:
    """Return the world of this seed. `probability` (0 to 1): that a learner's coin shows 1."""
    people = (
        draw_learner(course, index, seed=seed, probability=probability) for index in range(learners)
    )
    return World(
        course, [Trace(person, draw_history(course, person, seed=seed)) for person in people]
    )


def lines(world: World) -> Iterator[dict[str, Any]]:
    """Yield the roster and then the events, each as a dict for JSON with its type."""
    yield {"type": "course"} | course_line(world.course)
    for section in section_lines(world.course):
        yield {"type": "section"} | section
    for item in item_lines(world.course):
        yield {"type": "item"} | item
    # All lines of one type together: import_jsonl saves adjacent lines in one transaction.
    for trace in world.traces:
        yield {"type": "learner"} | learner_line(trace.learner)
    for trace in world.traces:
        yield {"type": "enrollment"} | enrollment_line(world.course, trace.learner)
    for event in world.events():
        yield {"type": "event"} | event | {"occurred_at": _text(event["occurred_at"])}


def _text(instant: datetime) -> str:
    return instant.isoformat()
