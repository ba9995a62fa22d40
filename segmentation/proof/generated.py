"""Create a small simulated course with random rules for the proof. The caller rolls it back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from random import Random
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
from segmentation.models import Playbook
from segmentation.operations.playbooks import add_courses, install_playbook, shipped_playbooks
from segmentation.operations.segments import SegmentFields, activate_segment, create_segment
from segmentation.proof.random_rules import random_rule, random_traits

LEARNERS = 25
DAYS = 28
STEP = timedelta(hours=12)
# Random rules of one course, besides those of the shipped playbooks.
RULES = 30
# In all but the last, clocks change within the weeks of the course, in Lord Howe by half an hour.
ZONES = (
    "Europe/London",
    "Pacific/Auckland",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Kathmandu",
)
LATE_SHARE = 0.1
LATEST = timedelta(days=3)
REPEATED_SHARE = 0.05
EXTRA_SHARE = 0.1
SAVERS = {
    "course": save_course,
    "section": save_section,
    "item": save_item,
    "learner": save_learner,
    "enrollment": save_enrollment,
}


@dataclass
class Generated:
    """A stored course with playbooks. Its events are not ingested yet.

    `cases` are the learners times the rules: each is followed through all instants.
    """

    course: Course
    cases: int
    # When each event arrives, in that order. Some arrive days late, and some twice.
    _arrivals: list[tuple[datetime, dict[str, Any]]]
    instants: list[datetime] = field(default_factory=list)

    def tell(self, now: datetime) -> None:
        """Ingest the events that have arrived by now."""
        arrived = [event for _, event in takewhile(lambda each: each[0] <= now, self._arrivals)]
        del self._arrivals[: len(arrived)]
        ingest(arrived, now=now)


def generate_course(seed: int) -> Generated:
    """Store the roster of a simulated course, with the shipped playbooks and random rules."""
    chance = Random(seed)  # noqa: S311 (not for secrets)
    world = simulate(SimulatedCourse(f"proof-{seed}", "Proof", DAYS), LEARNERS, seed=seed)
    first = datetime.fromisoformat(f"{world.course.starts_on}T00:00:00+00:00")
    for line in _roster(world):
        if line["type"] == "course":
            line["time_zone"] = ZONES[seed % len(ZONES)]
        if line["type"] == "learner":
            line["traits"] = random_traits(chance)
        SAVERS[line.pop("type")](line, now=first)
    course = Course.objects.get(key=world.course.key)
    for name in shipped_playbooks():
        install_playbook(name, now=first, course_keys=[course.key], key=f"{name}-{course.key}")
    rules = _install_random_rules(course, chance, now=first)
    begin = local_midnight(course.starts_on, course.time_zone)
    instants = [begin + step * STEP for step in range(2 * DAYS)]
    arrivals = sorted(_arrivals(world, chance), key=lambda each: each[0])
    return Generated(course, LEARNERS * rules, arrivals, instants)


def _install_random_rules(course: Course, chance: Random, *, now: datetime) -> int:
    """Install random rules, half of them with a leave rule. Return the number of all rules."""
    playbook = Playbook.objects.create(key=f"random-{course.key}", name="Random rules")
    add_courses(playbook.pk, [course.pk])
    leaving = 0
    for number in range(RULES):
        leave_rule = random_rule(chance) if chance.random() < 0.5 else None
        leaving += leave_rule is not None
        fields = SegmentFields(
            key=f"rule-{number}",
            name=f"Rule {number}",
            rule=random_rule(chance),
            leave_rule=leave_rule,
        )
        segment = create_segment(playbook.pk, fields, now=now)
        activate_segment(segment.pk, now=now, include_present=False)
    return RULES + leaving


def _arrivals(world: World, chance: Random) -> Iterator[tuple[datetime, dict[str, Any]]]:
    for event in world.events():
        named = _renamed(event)
        at = named["occurred_at"]
        late = chance.random() < LATE_SHARE
        yield at + chance.random() * LATEST if late else at, named
        if chance.random() < EXTRA_SHARE:
            yield at, _extra(named, chance)
        if chance.random() < REPEATED_SHARE:
            yield at + chance.random() * LATEST, dict(named)


def _extra(event: Mapping[str, Any], chance: Random) -> dict[str, Any]:
    """Return a purchase, or an event of a message, at the instant of the event."""
    verb = chance.choice(("PURCHASE", "PURCHASE", "EMAIL_SENT", "EMAIL_OPENED", "EMAIL_CLICKED"))
    extra = {**event, "verb": verb, "source_id": f"{event['source_id']} {verb}"}
    for name in ("count", "score", "passed"):
        extra.pop(name, None)
    if verb == "PURCHASE":
        extra["value"] = chance.choice((9.99, 20, -2.5))
        extra["properties"] = chance.choice(({}, {"plan": "gift"}, {"cart": {"size": 2}}))
    return extra


def _roster(world: World) -> Iterator[dict[str, Any]]:
    for line in lines(world):
        if line["type"] == "event":
            return
        # Learners of the same seed may exist already, so these get other ids.
        yield {name: value for name, value in _renamed(line).items() if name != "unit_key"}


def _renamed(line: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: f"proof {line[name]}" for name in ("learner", "external_id") if name in line}
    return {**line, **named}
