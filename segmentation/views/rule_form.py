"""What somebody typed on the page of a rule, and its faults."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from activity.access import Viewer, for_user
from activity.models import Course, Enrollment, Item
from segmentation.models import Playbook, Segment
from segmentation.operations import Typed
from segmentation.queries import courses_of_playbook, known_names
from segmentation.rules import (
    NOTHING_KNOWN,
    AskedNames,
    Known,
    canonical_rule,
    find_faults,
    sentence,
)

# The rest is counted by the command preview_rule.
MOST_COURSES = 50
MOST_NAMES = 3
# Traits come from a roster, so a few learners show the names of nearly all.
MOST_SAMPLED = 200
MOST_ITEMS = 500


class RuleText(forms.CharField):
    """The JSON of a rule. Every fault is shown, each with its place."""

    widget = forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "class": "code"})
    known: Known = NOTHING_KNOWN

    def clean(self, value: Any) -> Any:
        """Return the rule as it is stored, None for none."""
        text = super().clean(value)
        if not text:
            return None
        found = find_faults(text, self.known)
        if found.faults:
            raise ValidationError([_placed(fault.path, sentence(fault)) for fault in found.faults])
        return canonical_rule(found.data)


def _placed(path: str, words: str) -> str:
    return f"{path}: {words}" if path else words


class RuleForm(forms.Form):
    """The name, description and rules of a segment, and the state of the segment that was seen."""

    name = forms.CharField(max_length=200)
    description = forms.CharField(required=False, max_length=2000)
    rule = RuleText()
    leave_rule = RuleText(required=False)
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, known: Known = NOTHING_KNOWN, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, RuleText):
                field.known = known

    def typed(self, *, activate: bool, include_present: bool) -> Typed:
        """Return what was typed, for the operation that saves it."""
        texts = {name: self.cleaned_data[name] for name in ("name", "description")}
        rules = {name: self.cleaned_data[name] for name in ("rule", "leave_rule")}
        return Typed(**texts, **rules, activate=activate, include_present=include_present)


def offered_playbooks(viewer: Viewer) -> QuerySet[Playbook]:
    """Return the playbooks to which the viewer may add a segment."""
    return for_user(Playbook.objects.order_by("name", "key"), viewer)


@dataclass(frozen=True)
class OfferedCourses:
    """The courses in which a rule can be counted. `are_kept`: the playbook is kept for them."""

    courses: list[Course]
    are_kept: bool

    @property
    def kept_for(self) -> str:
        """Return the names of the playbook's courses: "Botany, Zoology and 3 more"."""
        if not self.are_kept:
            return ""
        more = len(self.courses) - MOST_NAMES
        names = ", ".join(map(str, self.courses[:MOST_NAMES]))
        return f"{names} and {more} more" if more > 0 else names


def offered_courses(segment: Segment, viewer: Viewer) -> OfferedCourses:
    """Return the playbook's courses, or else the latest of all."""
    kept = list(courses_of_playbook(segment.playbook_id, viewer=viewer)[:MOST_COURSES])
    if kept:
        return OfferedCourses(kept, are_kept=True)
    latest = for_user(Course.objects.order_by("-starts_on", "key"), viewer)
    return OfferedCourses(list(latest[:MOST_COURSES]), are_kept=False)


def known_traits(courses: Sequence[Course], *, viewer: Viewer) -> set[str]:
    """Return the names of traits that some learners of the first course have, as suggestions."""
    rows = for_user(Enrollment.objects.all(), viewer).filter(course__in=courses[:1])
    sample = rows.order_by("pk").values_list("traits", "learner__traits")[:MOST_SAMPLED]
    return {name for pair in sample for traits in pair for name in traits or {}}


def names_for(segment: Segment, viewer: Viewer) -> Known:
    """Return the names that rules of the segment may use.

    Traits, items and topics are those of the playbook's courses. Of a playbook without courses, and
    of courses without learners or items, they are not known yet.
    """
    offered = offered_courses(segment, viewer)
    if not offered.are_kept:
        return known_names()
    courses = offered.courses
    has = {"traits": _has_trait, "items": _has_item, "topics": _has_topic}
    asked = {
        name: AskedNames(
            partial(found, courses, viewer),
            lambda name=name: offered_names(courses, viewer=viewer)[name],  # type: ignore[misc]
        )
        for name, found in has.items()
    }
    return {**known_names(), **asked}


def _has_trait(courses: Sequence[Course], viewer: Viewer, name: str) -> bool:
    rows = for_user(Enrollment.objects.all(), viewer).filter(course__in=courses)
    of_learner = Q(traits__has_key=name) | Q(learner__traits__has_key=name)
    return rows.filter(of_learner).exists() or not rows.exists()


def _has_item(courses: Sequence[Course], viewer: Viewer, key: str) -> bool:
    rows = for_user(Item.objects.all(), viewer).filter(course__in=courses)
    return rows.filter(key=key).exists() or not rows.exists()


def _has_topic(courses: Sequence[Course], viewer: Viewer, topic: str) -> bool:
    rows = for_user(Item.objects.all(), viewer).filter(course__in=courses)
    return rows.filter(topic=topic).exists() or not rows.exclude(topic="").exists()


def offered_names(courses: Sequence[Course], *, viewer: Viewer) -> dict[str, list[str]]:
    """Return what is suggested for the arguments of a condition, by what they offer."""
    items = for_user(Item.objects.all(), viewer).filter(course__in=courses[:1])
    named = items.order_by("position", "pk").values_list("key", "topic")[:MOST_ITEMS]
    keys, topics = zip(*named, strict=True) if named else ((), ())
    return {
        **{offers: sorted(names) for offers, names in known_names().items()},
        "traits": sorted(known_traits(courses, viewer=viewer)),
        "items": list(keys),
        "topics": sorted(set(topics) - {""}),
    }


def read_id(text: str) -> int | None:
    """Return the id in the text, None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
