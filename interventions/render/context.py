"""What a template may speak of."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NextItem:
    """The first thing a learner could do next. `minutes` is None where nobody estimated it."""

    title: str
    minutes: int | None
    url: str


@dataclass(frozen=True)
class MessageContext:
    """The facts of one learner for one message."""

    learner_name: str
    course_title: str
    modules_completed: int
    modules_total: int
    next_item: NextItem | None
    unsubscribe_url: str
    preferences_url: str

    def variables(self) -> dict[str, Any]:
        """Return the variables as templates name them."""
        return {
            "learner": {
                "name": self.learner_name,
                "first_name": self.learner_name.partition(" ")[0],
            },
            "course": {"title": self.course_title},
            "progress": {
                "modules_completed": self.modules_completed,
                "modules_total": self.modules_total,
            },
            "next_item": None if self.next_item is None else vars(self.next_item),
            "unsubscribe_url": self.unsubscribe_url,
            "preferences_url": self.preferences_url,
        }


SAMPLE = MessageContext(
    learner_name="Ana Example",
    course_title="Statistics",
    modules_completed=2,
    modules_total=8,
    next_item=NextItem(title="Module 3", minutes=6, url="https://courses.example.org/module-3"),
    unsubscribe_url="https://courses.example.org/unsubscribe/",
    preferences_url="https://courses.example.org/preferences/",
)

# `next_item` alone is for asking whether there is one.
KNOWN_VARIABLES = (
    "course.title",
    "learner.first_name",
    "learner.name",
    "next_item",
    "next_item.minutes",
    "next_item.title",
    "next_item.url",
    "preferences_url",
    "progress.modules_completed",
    "progress.modules_total",
    "unsubscribe_url",
)
