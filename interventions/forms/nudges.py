"""The forms of a nudge: whom, what, when, prove it. They read the answers as they were typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.core.validators import MaxLengthValidator
from django.urls import reverse
from django.utils.html import format_html

from common.stored_text import storable_text
from experiments.queries import running_experiments
from interventions.forms.answers import COUNT, MOST_MESSAGES, OF_MESSAGE, number_of_messages
from interventions.forms.fields import DelayField, TimeOfDayField
from interventions.models import Category
from interventions.operations import (
    NudgeFields,
    NudgeMessage,
    beside_an_experiment,
    text_problems,
)
from interventions.queries.nudges import (
    active_on_entry,
    categories_to_nudge,
    segments_to_nudge,
)
from interventions.render.bounds import MAX_SOURCE
from interventions.render.markdown import html_of
from segmentation.models import Segment
from segmentation.queries import clock_of_playbook, locales_of_playbook

BESIDE_A_CADENCE = (
    "The messages of “{name}” go to every learner who enters this segment, so nobody would be "
    "held back. Set the status of <a href='{address}'>{name}</a> to “Archived” first, or do not "
    "hold back half."
)
NOBODY_ENTERS = (
    "The course is simulated and its clock has stopped: no learner enters, so there are no halves "
    "to compare. Choose a segment of a course that runs, or do not hold back half."
)
TOO_LONG = f"A text can have at most {MAX_SOURCE:,} letters."
MARKDOWN, HTML = "markdown", "html"
_NO_LONGER_ACTIVE = (
    "This segment is not active: it was archived or frozen meanwhile, or you may not see it. "
    "Choose another segment. Everything else is kept."
)


@dataclass(frozen=True)
class Offered:
    """The segments and kinds of messages that a user can choose, by the text of their id."""

    segments: Mapping[str, Segment]
    categories: Mapping[str, Category]


def offered_to(viewer: User) -> Offered:
    """Return what the user can choose. Three queries."""
    return Offered(
        {str(each.pk): each for each in segments_to_nudge(viewer)},
        {str(each.pk): each for each in categories_to_nudge(viewer)},
    )


def offered_in(offered: Offered, course_id: int, *, answers: Mapping[str, str]) -> Offered:
    """Return what is offered in one course, with the segment that is already chosen."""
    kept = {
        key: segment
        for key, segment in offered.segments.items()
        if key == answers.get("segment")
        or course_id in {course.pk for course in segment.playbook.courses.all()}
    }
    return Offered(kept, offered.categories)


class NudgeForm(forms.Form):
    """The answers that are not about a single message."""

    segment = forms.TypedChoiceField(
        label="Segment",
        error_messages={
            "required": "Choose the segment whose learners get the messages.",
            "invalid_choice": _NO_LONGER_ACTIVE,
        },
    )
    include_present = forms.BooleanField(required=False, label="Also those already in")
    category = forms.TypedChoiceField(
        label="Kind of message", help_text="Learners can choose which kinds they get."
    )
    why_now = forms.CharField(
        required=False,
        max_length=200,
        label="It comes now because",
        help_text="The end of this sentence below each message, such as “you have watched three "
        "videos and tried no quiz”. Write it in the language of the course; messages in another "
        "language do without it. You may leave it empty.",
    )
    window_from = TimeOfDayField(required=False, label="Only after")
    window_until = TimeOfDayField(required=False, label="and before")
    hold_back = forms.BooleanField(required=False, label="Hold back half to learn whether it helps")
    hypothesis = forms.CharField(
        required=False,
        max_length=1000,
        label="What you expect",
        help_text="It is kept with the result and cannot be changed after the start.",
    )
    name = forms.CharField(required=False, max_length=200, label="Name")

    def __init__(
        self, answers: Mapping[str, str], *, offered: Offered, is_checked: bool = True
    ) -> None:
        # As initial values, answers are shown without a word on what is missing.
        given: Any = {"data" if is_checked else "initial": dict(answers)}
        super().__init__(use_required_attribute=False, **given)
        self.offered, self.typed = offered, answers
        segments, categories = self._choice("segment"), self._choice("category")
        named = [(key, str(each)) for key, each in offered.segments.items()]
        segments.choices = [("", "Choose a segment"), *named]
        segments.coerce = offered.segments.get
        categories.choices = [(key, each.name) for key, each in offered.categories.items()]
        categories.coerce = offered.categories.get

    def _choice(self, name: str) -> Any:
        return self.fields[name]

    @property
    def chosen(self) -> Segment | None:
        """Return the chosen segment if it can be nudged."""
        return self.offered.segments.get(self.typed.get("segment", ""))

    @property
    def suggested_name(self) -> str:
        """Return a name with the segment's courses, for a nudge without a name."""
        return f"Nudge for {self.chosen}"[:200] if self.chosen else ""

    def clean(self) -> dict[str, Any]:
        """Refuse half a pair of hours, and a nudge for everybody beside an experiment."""
        data = super().clean() or {}
        self._check_hours(data)
        if data.get("segment") is not None:
            self._check_beside(data["segment"], hold_back=data.get("hold_back", False))
        return data

    def _check_beside(self, segment: Segment, *, hold_back: bool) -> None:
        running = running_experiments([segment.pk])[segment.pk]
        if running and not hold_back:
            self.add_error("segment", beside_an_experiment(running[0]))
        # As at the start of an experiment, courses that the user may not see count too: one of
        # their clocks may run. Said before anybody archives a cadence for an experiment that cannot
        # start.
        if hold_back and clock_of_playbook(segment.playbook_id) is not None:
            self.add_error("hold_back", NOBODY_ENTERS)
            return
        for cadence in active_on_entry(segment.pk) if hold_back else ():
            if cadence.arm_id is None:
                address = reverse("admin:interventions_cadence_change", args=(cadence.pk,))
                sentence = format_html(BESIDE_A_CADENCE, name=cadence.name, address=address)
                self.add_error("hold_back", sentence)
                return

    def _check_hours(self, data: Mapping[str, Any]) -> None:
        if not {"window_from", "window_until"} <= data.keys():
            return
        opens, closes = data["window_from"], data["window_until"]
        if (opens is None) != (closes is None):
            missing = "window_until" if closes is None else "window_from"
            self.add_error(missing, "Write both times, or leave both empty.")
        elif opens is not None and opens == closes:
            self.add_error("window_until", "Both times are the same. Write another one.")


class MessageForm(forms.Form):
    """One message and its delay after the one before."""

    subject = forms.CharField(
        max_length=300,
        label="Subject",
        error_messages={"required": "Write a subject."},
    )
    body = forms.CharField(
        label="Text",
        widget=forms.Textarea(attrs={"rows": 9}),
        # With max_length the browser would cut what is pasted, without a word.
        validators=[MaxLengthValidator(MAX_SOURCE, TOO_LONG)],
        error_messages={"required": "Write the text of the message."},
    )
    format = forms.ChoiceField(
        required=False,
        choices=[(MARKDOWN, "Plain text or Markdown"), (HTML, "HTML")],
        label="Written as",
    )
    delay = DelayField(required=False, label="When")

    def clean(self) -> dict[str, Any]:
        """Refuse a text from which no message could be made for every learner."""
        data = super().clean() or {}
        if {"subject", "body"} <= data.keys():
            for field, sentence in text_problems(data["subject"], self.html).items():
                self.add_error(field, sentence)
        return data

    @property
    def html(self) -> str:
        """Return the body as Liquid and HTML, whatever it was written in."""
        body: str = self.cleaned_data.get("body", "")
        return body if self.cleaned_data.get("format") == HTML else html_of(body)


MessageFormSet = forms.formset_factory(
    MessageForm, extra=0, min_num=1, validate_min=True, max_num=MOST_MESSAGES, validate_max=True
)


class NudgeForms:
    """All forms of one nudge with the typed answers, with or without what is wrong with them."""

    def __init__(
        self, answers: Mapping[str, str], *, offered: Offered, is_checked: bool = True
    ) -> None:
        self.answers = dict(answers)
        self.offered = offered
        self.number = number_of_messages(answers)
        self.nudge = NudgeForm(answers, offered=offered, is_checked=is_checked)
        counts = {COUNT: str(self.number), "message-INITIAL_FORMS": "0"}
        given: Any = {"data": {**answers, **counts}} if is_checked else {"initial": self._each()}
        self.messages: Any = MessageFormSet(
            prefix="message",
            form_kwargs={"empty_permitted": False, "use_required_attribute": False},
            **given,
        )

    def _each(self) -> list[dict[str, str]]:
        names = MessageForm.base_fields
        return [
            {name: self.answers.get(f"message-{place}-{name}", "") for name in names}
            for place in range(self.number)
        ]

    def shown(self, *, is_checked: bool) -> "NudgeForms":
        """Return the forms for the page: with their errors, or only with what was typed."""
        return (
            self if is_checked else NudgeForms(self.answers, offered=self.offered, is_checked=False)
        )

    def are_valid(self) -> bool:
        """Return whether a nudge can be made of the answers."""
        return bool(self.nudge.is_valid() and self.messages.is_valid())

    @property
    def name(self) -> str:
        """Return the typed name, else the suggested one."""
        return self.answers.get("name", "").strip()[:200] or self.nudge.suggested_name

    def fields(self) -> NudgeFields:
        """Return the checked answers."""
        data = self.nudge.cleaned_data
        return NudgeFields(
            name=self.name,
            segment=data["segment"],
            category=data["category"],
            messages=[
                NudgeMessage(each.cleaned_data["subject"], each.html, each.cleaned_data["delay"])
                for each in self.messages
            ],
            why_now=data["why_now"],
            window_from=data["window_from"],
            window_until=data["window_until"],
            hold_back=data["hold_back"],
            hypothesis=data["hypothesis"] or expectation(self.name),
            include_present=data["include_present"],
            locales=locales_of_playbook(data["segment"].playbook_id),
        )


def expectation(name: str) -> str:
    """Return the hypothesis of a nudge for which none was written."""
    return f"The messages of “{name}” lead more learners to attempt a quiz within 7 days."


def typed_answers(typed: Mapping[str, str]) -> dict[str, str]:
    """Return the answers in a posted form, in a form that can be stored."""
    known = {*NudgeForm.base_fields, "preview_as", COUNT}
    return {
        name: storable_text(text) for name, text in typed.items() if name in known or _is_of(name)
    }


def _is_of(name: str) -> bool:
    found = OF_MESSAGE.fullmatch(name)
    return found is not None and found[2] in MessageForm.base_fields
