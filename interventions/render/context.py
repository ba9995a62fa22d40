"""The variables of a template."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from django.utils import translation

from interventions.render.names import first_name, full_name, one_line
from interventions.render.why import ModuleFacts, why_in_words
from interventions.render.words import has_own_words, language_of, reason_in


@dataclass(frozen=True)
class NextItem:
    """The next item for a learner. `minutes` is None without an estimate.

    `why` is a clause that follows "because". It is for tasks; templates do not see it.
    """

    title: str
    minutes: int | None
    url: str
    why: str = ""


@dataclass(frozen=True)
class MessageContext:
    """The facts about one learner for one message. Missing texts are empty."""

    learner_name: str
    course_title: str
    modules_completed: int
    modules_total: int
    next_item: NextItem | None
    unsubscribe_url: str
    preferences_url: str
    given_name: str = ""
    # The end of the sentence "It comes now because ...", and the locale in which staff wrote it.
    reason: str = ""
    reason_locale: str = ""
    # The address for replies to the message.
    reply_to: str = ""
    course_url: str = ""
    teacher_name: str = ""
    # The signals of the entered segment, by their identity. None: it may not hold any more.
    signals: Mapping[str, Any] = field(default_factory=dict)
    module: ModuleFacts | None = None
    # The locale of the text, for the words that are made from numbers.
    locale: str = "en"

    @cached_property
    def told_reason(self) -> str:
        """Return the cadence's reason in the language of the text, or an empty text."""
        reason = one_line(self.reason).rstrip(".")
        return reason_in(self.locale, reason, written_in=self.reason_locale)

    @cached_property
    def why(self) -> str:
        """Return what caused the message as a clause in the language of the text, or nothing."""
        if not (self.signals or self.module) or not has_own_words(self.locale):
            return ""
        with translation.override(language_of(self.locale)):
            return one_line(why_in_words(self.signals, self.module))

    @cached_property
    def variables(self) -> Mapping[str, Any]:
        """Return the variables by their names in templates, without unknown ones."""
        return {
            "learner": _known(
                name=full_name(self.learner_name),
                first_name=first_name(self.learner_name, given=self.given_name),
            ),
            "course": {"title": self.course_title, **_known(url=self.course_url)},
            "teacher": _known(name=full_name(self.teacher_name)),
            "progress": {
                "modules_completed": self.modules_completed,
                "modules_total": self.modules_total,
            },
            "next_item": None if self.next_item is None else _known(**vars(self.next_item)),
            "unsubscribe_url": self.unsubscribe_url,
            "preferences_url": self.preferences_url,
            **_known(reply_to=self.reply_to),
            **_known(why=self.why),
        }


def _known(**values: Any) -> dict[str, Any]:
    # A missing value must be undefined in the template, so that using it is an error. An empty text
    # would be written silently.
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
    reply_to="tom.okafor@example.org",
    course_url="https://courses.example.org/",
    teacher_name="Tom Okafor",
    signals={
        '{"field":"content_views","window":14}': 5,
        '{"field":"quiz_attempt_rate","window":14}': 0,
    },
    module=ModuleFacts(title="Module 3", videos_opened=3, has_untried_quiz=True),
)


def _guarded(name: str) -> str:
    return f"put the text that uses {name} between {{% if {name} %}} and {{% endif %}}"


# Contexts with missing values. The key is the error for a template that fails with the context.
LACKING: Mapping[str, MessageContext] = {
    "A learner may have no name. Write {{ learner.first_name | default: 'there' }}, or "
    + _guarded("learner.first_name"): replace(SAMPLE, learner_name=""),
    "A learner may have no next item, so " + _guarded("next_item"): replace(SAMPLE, next_item=None),
    "The next item may have no estimated time, so " + _guarded("next_item.minutes"): replace(
        SAMPLE, next_item=replace(_NEXT_ITEM, minutes=None)
    ),
    "The next item may have no address, so " + _guarded("next_item.url"): replace(
        SAMPLE, next_item=replace(_NEXT_ITEM, url="")
    ),
    "A learner may have no teacher, so " + _guarded("teacher.name"): replace(
        SAMPLE, teacher_name=""
    ),
    "A course may have no address, so " + _guarded("course.url"): replace(SAMPLE, course_url=""),
    "Nobody may read replies, so " + _guarded("reply_to"): replace(SAMPLE, reply_to=""),
    "It may be unknown what caused the message, so " + _guarded("why"): replace(SAMPLE, signals={}),
    "The text fails if a learner has completed everything (8 of 8). Check the divisions": replace(
        SAMPLE, modules_completed=8, next_item=None
    ),
    "The text fails if a learner has completed nothing yet (0 of 8). Check the divisions": replace(
        SAMPLE, modules_completed=0
    ),
    "A course may have no module yet (0 of 0). Divide by progress.modules_total only between "
    "{% if progress.modules_total > 0 %} and {% endif %}": replace(
        SAMPLE, modules_completed=0, modules_total=0, next_item=None
    ),
    "All of these may be missing at once": replace(
        SAMPLE,
        learner_name="",
        modules_completed=0,
        modules_total=0,
        next_item=None,
        reply_to="",
        course_url="",
        teacher_name="",
        signals={},
    ),
}

# `next_item` alone can be used in a condition.
KNOWN_VARIABLES = (
    "course.title",
    "course.url",
    "learner.first_name",
    "learner.name",
    "next_item",
    "next_item.minutes",
    "next_item.title",
    "next_item.url",
    "preferences_url",
    "progress.modules_completed",
    "progress.modules_total",
    "reply_to",
    "teacher.name",
    "unsubscribe_url",
    "why",
)
