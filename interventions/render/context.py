"""What a template may speak of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from interventions.render.names import first_name, shown_name


@dataclass(frozen=True)
class NextItem:
    """The first thing a learner could do next. `minutes` is None where nobody estimated it."""

    title: str
    minutes: int | None
    url: str


@dataclass(frozen=True)
class MessageContext:
    """The facts of one learner for one message. Texts that nobody gave are empty."""

    learner_name: str
    course_title: str
    modules_completed: int
    modules_total: int
    next_item: NextItem | None
    unsubscribe_url: str
    preferences_url: str
    given_name: str = ""
    # Completes "It comes now because ...".
    reason: str = ""
    # Who reads an answer to the message.
    reply_to: str = ""

    def variables(self) -> dict[str, Any]:
        """Return the variables as templates name them. What is not known is not among them."""
        return {
            "learner": _known(
                name=shown_name(self.learner_name),
                first_name=first_name(self.learner_name, given=self.given_name),
            ),
            "course": {"title": self.course_title},
            "progress": {
                "modules_completed": self.modules_completed,
                "modules_total": self.modules_total,
            },
            "next_item": None if self.next_item is None else _known(**vars(self.next_item)),
            "unsubscribe_url": self.unsubscribe_url,
            "preferences_url": self.preferences_url,
        }


def _known(**values: Any) -> dict[str, Any]:
    # What is missing must be missing to the template too, so that it is noticed: an empty text
    # would be written without a word.
    return {name: value for name, value in values.items() if value not in (None, "")}


_NEXT_ITEM = NextItem(title="Module 3", minutes=6, url="https://courses.example.org/module-3")

SAMPLE = MessageContext(
    learner_name="Ana Example",
    course_title="Statistics",
    modules_completed=2,
    modules_total=8,
    next_item=_NEXT_ITEM,
    unsubscribe_url="https://courses.example.org/unsubscribe/",
    preferences_url="https://courses.example.org/preferences/",
    reason="you have not been in the course for a week",
)


def _guarded(name: str) -> str:
    return f"put what speaks of {name} between {{% if {name} %}} and {{% endif %}}"


# What a learner or a course may lack, with the sentence for a template that does not work then.
LACKING: Mapping[str, MessageContext] = {
    "A learner may have no name: write {{ learner.first_name | default: 'there' }}, or "
    + _guarded("learner.first_name"): replace(SAMPLE, learner_name=""),
    "A learner may have nothing left to do: " + _guarded("next_item"): replace(
        SAMPLE, next_item=None
    ),
    "Nobody may have said how long the next item takes: " + _guarded("next_item.minutes"): replace(
        SAMPLE, next_item=replace(_NEXT_ITEM, minutes=None)
    ),
    "The next item may have no address: " + _guarded("next_item.url"): replace(
        SAMPLE, next_item=replace(_NEXT_ITEM, url="")
    ),
    "A learner may have completed everything, 8 of 8: see what is divided by that": replace(
        SAMPLE, modules_completed=8, next_item=None
    ),
    "A learner may have completed nothing yet, 0 of 8: see what is divided by that": replace(
        SAMPLE, modules_completed=0
    ),
    "A course may have no module yet, 0 of 0: divide by progress.modules_total only between "
    "{% if progress.modules_total > 0 %} and {% endif %}": replace(
        SAMPLE, modules_completed=0, modules_total=0, next_item=None
    ),
    "All of these may be missing at once": replace(
        SAMPLE, learner_name="", modules_completed=0, modules_total=0, next_item=None
    ),
}

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
