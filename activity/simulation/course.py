"""The simulated course: one module per week with a video, a page, a quiz and so on. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

DAYS_A_WEEK = 7
# Clocks in London go back on this day, so that the course contains a day of 25 hours.
LAST_DAY = date(2025, 10, 26)
TIME_ZONE = "Europe/London"
PASS_MARK = 0.5

_TOPICS = (
    "Reading data",
    "Averages and spread",
    "Chance",
    "Samples",
    "Comparing two groups",
    "Relations",
    "Trends over time",
    "Telling the story",
)


@dataclass(frozen=True)
class ItemOfModule:
    """An item of a module. It is assigned and due with its module."""

    kind: str
    title: str
    minutes: int


_WEEK = (
    ItemOfModule("video", "Watch: {topic}", minutes=12),
    ItemOfModule("page", "Read: {topic}", minutes=8),
    ItemOfModule("resource", "Summary: {topic}", minutes=4),
    ItemOfModule("quiz", "Quiz: {topic}", minutes=10),
    ItemOfModule("assignment", "Assignment: {topic}", minutes=45),
)


@dataclass(frozen=True)
class Module:
    """One week's module."""

    number: int
    starts_on: date
    ends_on: date

    @property
    def key(self) -> str:
        """Return the module's item key."""
        return f"module-{self.number}"

    def item_key(self, kind: str) -> str:
        """Return the key of the module's only item of this kind."""
        return f"{kind}-{self.number}"


@dataclass(frozen=True)
class SimulatedCourse:
    """A course of the given length that ends on the day when the clocks go back."""

    key: str
    title: str
    days: int
    sections: int = 8

    @property
    def starts_on(self) -> date:
        """Return the first day."""
        return LAST_DAY - timedelta(days=self.days - 1)

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        """Return the modules in order. The last one ends with the course."""
        weeks = range(-(-self.days // DAYS_A_WEEK))
        starts = [self.starts_on + timedelta(days=DAYS_A_WEEK * week) for week in weeks]
        return tuple(
            Module(number + 1, start, min(start + timedelta(days=DAYS_A_WEEK - 1), LAST_DAY))
            for number, start in enumerate(starts)
        )

    def module_on(self, day: date) -> Module:
        """Return the module of the day's week. Raise IndexError after the end of the course."""
        return self.modules[(day - self.starts_on).days // DAYS_A_WEEK]


def course_line(course: SimulatedCourse) -> dict[str, Any]:
    """Return the course as import_jsonl reads it, without its type."""
    return {
        "key": course.key,
        "title": course.title,
        "time_zone": TIME_ZONE,
        "contact_email": "courses@example.org",
        "starts_on": course.starts_on.isoformat(),
        "ends_on": LAST_DAY.isoformat(),
        "pass_mark": PASS_MARK,
    }


def section_lines(course: SimulatedCourse) -> list[dict[str, Any]]:
    """Return the course's sections as import_jsonl reads them."""
    return [
        {
            "course": course.key,
            "key": section_key(number),
            "teacher": f"Teacher {number + 1}",
            "teacher_email": f"teacher-{number + 1}@example.org",
        }
        for number in range(course.sections)
    ]


def section_key(number: int) -> str:
    """Return the key of the section with this number, from 0."""
    return f"section-{number + 1}"


def item_lines(course: SimulatedCourse) -> list[dict[str, Any]]:
    """Return modules and items as import_jsonl reads them, each module before its items."""
    lines = [line for module in course.modules for line in _module_lines(course, module)]
    return [line | {"position": position} for position, line in enumerate(lines)]


def _module_lines(course: SimulatedCourse, module: Module) -> Iterator[dict[str, Any]]:
    topic = _TOPICS[(module.number - 1) % len(_TOPICS)]
    yield {
        "course": course.key,
        "key": module.key,
        "kind": "module",
        "title": f"Module {module.number}: {topic}",
        "assigned_on": module.starts_on.isoformat(),
        "due_on": module.ends_on.isoformat(),
    }
    for item in _WEEK:
        yield {
            "course": course.key,
            "key": module.item_key(item.kind),
            "kind": item.kind,
            "title": item.title.format(topic=topic),
            "parent": module.key,
            "assigned_on": module.starts_on.isoformat(),
            "due_on": module.ends_on.isoformat(),
            "estimated_minutes": item.minutes,
            "topic": topic,
        }
