"""Create a small simulated course for the proof. The caller rolls it back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from activity.models import Course
from activity.operations import (
    ingest,
    save_course,
    save_enrollment,
    save_item,
    save_learner,
    save_section,
)
from activity.simulation.course import SimulatedCourse
from activity.simulation.world import World, lines, simulate
from common.clock import local_midnight
from segmentation.operations.playbooks import install_playbook, shipped_playbooks

LEARNERS = 25
DAYS = 28
STEP = timedelta(hours=12)
SAVERS = {
    "course": save_course,
    "section": save_section,
    "item": save_item,
    "learner": save_learner,
    "enrollment": save_enrollment,
}


@dataclass
class Generated:
    """A stored course with every shipped playbook. Its events are not ingested yet."""

    course: Course
    _events: list[dict[str, Any]]
    instants: list[datetime] = field(default_factory=list)

    def tell(self, now: datetime) -> None:
        """Ingest the events that have occurred up to now."""
        occurred = [event for event in self._events if event["occurred_at"] <= now]
        self._events = self._events[len(occurred) :]
        ingest(occurred, now=now)


def generate_course(seed: int) -> Generated:
    """Store the roster of a simulated course and install the shipped playbooks for it."""
    world = simulate(SimulatedCourse(f"proof-{seed}", "Proof", DAYS), LEARNERS, seed=seed)
    first = datetime.fromisoformat(f"{world.course.starts_on}T00:00:00+00:00")
    for line in _roster(world):
        SAVERS[line.pop("type")](line, now=first)
    course = Course.objects.get(key=world.course.key)
    for name in shipped_playbooks():
        install_playbook(name, now=first, course_keys=[course.key], key=f"{name}-{course.key}")
    begin = local_midnight(course.starts_on, course.time_zone)
    instants = [begin + step * STEP for step in range(2 * DAYS)]
    return Generated(course, [_renamed(event) for event in world.events()], instants)


def _roster(world: World) -> Iterator[dict[str, Any]]:
    for line in lines(world):
        if line["type"] == "event":
            return
        # Learners of the same seed may exist already, so these get other ids.
        yield {name: value for name, value in _renamed(line).items() if name != "unit_key"}


def _renamed(line: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: f"proof {line[name]}" for name in ("learner", "external_id") if name in line}
    return {**line, **named}
