"""Look up the database ids for the keys in a batch of events, in a few queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from activity.canonical import CanonicalEvent, Reason, Refused, shown
from activity.models import Course, Verb
from activity.operations.binary import fetch_binary
from activity.verbs import BUILT_IN

_ENROLLMENTS = """
SELECT enrollment.course_id, learner.external_id, enrollment.id
FROM activity_learner AS learner
JOIN activity_enrollment AS enrollment ON enrollment.learner_id = learner.id
WHERE learner.external_id = ANY(%(keys)b::text[])
    AND enrollment.course_id = ANY(%(courses)b::bigint[])
"""
_ITEMS = """
SELECT course_id, key, id FROM activity_item
WHERE key = ANY(%(keys)b::text[]) AND course_id = ANY(%(courses)b::bigint[])
"""

_KNOWN_VERBS = f"built in are {', '.join(BUILT_IN)}; an admin can register others under Verbs."


class EventRow(NamedTuple):
    """An event with its keys looked up, ready for the log."""

    enrollment_id: int
    item_id: int | None
    verb: str
    occurred_at: datetime
    total: int
    score: Decimal | None
    passed: bool | None
    value: Decimal | None
    properties: str
    source: str
    source_id: str
    sent_score: float | None


# For each field of EventRow, the column of the log and its type. `count` is a method of tuples, so
# that field is named `total`.
_COLUMNS = {
    "enrollment_id": ("enrollment_id", "bigint"),
    "item_id": ("item_id", "bigint"),
    "verb": ("verb", "text"),
    "occurred_at": ("occurred_at", "timestamptz"),
    "total": ("count", "int"),
    "score": ("score", "numeric"),
    "passed": ("passed", "bool"),
    "value": ("value", "numeric"),
    "properties": ("properties", "jsonb"),
    "source": ("source", "text"),
    "source_id": ("source_id", "text"),
    "sent_score": ("sent_score", "float8"),
}


def log_columns(fields: Sequence[str]) -> list[str]:
    """Return the names of the log's columns that hold the fields of EventRow."""
    return [_COLUMNS[name][0] for name in fields]


def sent_arrays(fields: Sequence[str]) -> str:
    """Return the arguments of unnest() over a parameter for each field of EventRow."""
    return ", ".join(f"%({name})b::{_COLUMNS[name][1]}[]" for name in fields)


@dataclass(frozen=True, slots=True)
class KnownCourse:
    """The ids and the pass mark of one course that a batch needs."""

    id: int
    key: str
    pass_mark: Decimal
    enrollments: dict[str, int]
    items: dict[str, int]

    def enrollment_of(self, learner: str) -> int:
        """Return the learner's enrollment id. Raise Refused if there is none."""
        enrollment_id = self.enrollments.get(learner)
        if enrollment_id is None:
            message = f"Learner {shown(learner)} is unknown or not in course {shown(self.key)}."
            raise Refused(Reason.UNKNOWN_LEARNER, message)
        return enrollment_id

    def item_of(self, key: str | None) -> int | None:
        """Return the item's id, None for no item. Raise Refused if the course has no such item."""
        if key is None:
            return None
        item_id = self.items.get(key)
        if item_id is None:
            message = f"Item {shown(key)} is unknown in course {shown(self.key)}."
            raise Refused(Reason.UNKNOWN_ITEM, message)
        return item_id

    def passed(self, event: CanonicalEvent) -> bool | None:
        """Return `passed` as sent, or by the course's current pass mark if it was not sent."""
        if event.passed is not None or event.score is None:
            return event.passed
        return event.score >= self.pass_mark


@dataclass(frozen=True, slots=True)
class Keys:
    """The existing courses and verbs that a batch names."""

    courses: dict[str, KnownCourse]
    verbs: frozenset[str]

    def resolve(self, event: CanonicalEvent) -> EventRow:
        """Return the event as a row of the log. Raise Refused for a key that does not exist."""
        course = self.courses.get(event.course)
        if course is None:
            raise Refused(Reason.UNKNOWN_COURSE, f"Course {shown(event.course)} is unknown.")
        if event.verb not in self.verbs:
            message = f"Verb {shown(event.verb)} is unknown; {_KNOWN_VERBS}"
            raise Refused(Reason.UNKNOWN_VERB, message)
        return EventRow(
            course.enrollment_of(event.learner),
            course.item_of(event.item),
            event.verb,
            event.occurred_at,
            event.total,
            event.score,
            course.passed(event),
            event.value,
            event.properties,
            event.source,
            event.source_id,
            event.sent_score,
        )


def look_up(events: Sequence[CanonicalEvent]) -> Keys:
    """Return the keys that the events name, in at most four queries for any number of events."""
    rows = Course.objects.filter(key__in={event.course for event in events}).order_by()
    by_id = {
        pk: KnownCourse(pk, key, pass_mark, {}, {})
        for pk, key, pass_mark in rows.values_list("pk", "key", "pass_mark")
    }
    for course_id, learner, pk in _enrollments(by_id, {event.learner for event in events}):
        by_id[course_id].enrollments[learner] = pk
    for course_id, key, pk in _items(by_id, {event.item for event in events if event.item}):
        by_id[course_id].items[key] = pk
    verbs = _verbs({event.verb for event in events})
    return Keys({course.key: course for course in by_id.values()}, verbs)


def _enrollments(course_ids: Iterable[int], learners: set[str]) -> list[tuple[int, str, int]]:
    return fetch_binary(_ENROLLMENTS, {"courses": list(course_ids), "keys": list(learners)})


def _items(course_ids: Iterable[int], keys: set[str]) -> list[tuple[int, str, int]]:
    return fetch_binary(_ITEMS, {"courses": list(course_ids), "keys": list(keys)})


def _verbs(named: set[str]) -> frozenset[str]:
    others = named.difference(BUILT_IN)
    if not others:
        return frozenset(BUILT_IN)
    # Read for each batch, so that every process knows a newly registered verb at once.
    registered = Verb.objects.filter(name__in=others).values_list("name", flat=True)
    return frozenset(BUILT_IN).union(registered)
