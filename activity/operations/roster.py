"""Save courses, sections, items, learners and enrollments from plain values.

Each row is locked before it is read, and only changed columns are written. Of two simultaneous
changes of one row, the second waits and then changes the result of the first.
"""

from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from activity.canonical import shown
from activity.models import Course, Enrollment, Item, ItemKind, Learner, PendingNo, Section
from activity.operations.due import lock_due
from activity.operations.effects import Effects, changing, store_row
from activity.operations.noes import keep_listed_no
from activity.operations.roster_values import RosterError, fill, key_in, optional_key_in

Row = TypeVar("Row", bound=Model)

Change = Callable[[Mapping[str, Any], Effects, datetime], Row]


def save_course(values: Mapping[str, Any], *, now: datetime) -> Course:
    """Create or change the course with this `key`. Fields that are not named stay as they are.

    As in every `save_...` function here, days are dates or ISO text, instants have an offset, and a
    fault raises RosterError with a sentence.
    """
    return _saved(change_course, values, now=now)


def save_section(values: Mapping[str, Any], *, now: datetime) -> Section:
    """Create or change the section with this `course` (a course's key) and `key`."""
    return _saved(change_section, values, now=now)


def save_item(values: Mapping[str, Any], *, now: datetime) -> Item:
    """Create or change the item with this `course` and `key`; `parent` is a module's key."""
    return _saved(change_item, values, now=now)


def save_learner(values: Mapping[str, Any], *, now: datetime) -> Learner:
    """Create or change the learner with this `external_id`."""
    return _saved(change_learner, values, now=now)


def save_enrollment(values: Mapping[str, Any], *, now: datetime) -> Enrollment:
    """Create or change the enrollment of `learner` (external id) in `course` (key).

    `section` is a section's key. A new enrollment that does not name `enrolled_at` begins now.
    """
    return _saved(change_enrollment, values, now=now)


def change_course(values: Mapping[str, Any], effects: Effects, now: datetime) -> Course:
    """Do the same as save_course, but leave the effects to the caller's `changing`."""
    key = key_in(values, "key")
    before = _locked(Course.objects.filter(key=key))
    row = copy(before) or Course(key=key, title=key)
    effects.remarks += fill(row, values, looked_up=frozenset())
    return store_row(row, effects, before=before, now=now)


def change_section(values: Mapping[str, Any], effects: Effects, now: datetime) -> Section:
    """Do the same as save_section, but leave the effects to the caller's `changing`."""
    course = _course(values)
    key = key_in(values, "key")
    before = _locked(course.sections.filter(key=key))
    row = copy(before) or Section(course=course, key=key)
    effects.remarks += fill(row, values, looked_up=frozenset({"course"}))
    return store_row(row, effects, before=before, now=now)


def change_item(values: Mapping[str, Any], effects: Effects, now: datetime) -> Item:
    """Do the same as save_item, but leave the effects to the caller's `changing`."""
    course = _course(values)
    key = key_in(values, "key")
    before = _locked(course.items.filter(key=key))
    row = copy(before) or Item(course=course, key=key)
    if "parent" in values:
        row.parent = _module(course, optional_key_in(values, "parent"))
    effects.remarks += fill(row, values, looked_up=frozenset({"course", "parent"}))
    return store_row(row, effects, before=before, now=now)


def change_learner(values: Mapping[str, Any], effects: Effects, now: datetime) -> Learner:
    """Do the same as save_learner, but leave the effects to the caller's `changing`."""
    key = key_in(values, "external_id")
    before = _locked(Learner.objects.filter(external_id=key))
    row = copy(before) or Learner(external_id=key)
    effects.remarks += fill(row, values, looked_up=frozenset())
    return store_row(row, effects, before=before, now=now)


def change_enrollment(values: Mapping[str, Any], effects: Effects, now: datetime) -> Enrollment:
    """Do the same as save_enrollment, but leave the effects to the caller's `changing`."""
    course = _course(values)
    # Lock the learner first: if two transactions enroll the same learner, the second one then finds
    # the row of the first.
    people = Learner.objects.select_for_update(no_key=True)
    learner = _found(people, "Learner", external_id=key_in(values, "learner"))
    before = _locked_enrollment(course, learner)
    row = copy(before) or Enrollment(course=course, learner=learner, enrolled_at=now)
    if "section" in values:
        row.section = _section(course, optional_key_in(values, "section"))
    effects.remarks += fill(row, values, looked_up=frozenset({"course", "learner", "section"}))
    return store_row(row, effects, before=before, now=now)


def change_opt_out(values: Mapping[str, Any], effects: Effects, now: datetime) -> PendingNo:
    """Store the opt-out of an address that another system exported."""
    return keep_listed_no(values, now=now)


def _saved(change: Change[Row], values: Mapping[str, Any], *, now: datetime) -> Row:
    with changing(now=now) as effects:
        return change(values, effects, now)


def _locked(rows: QuerySet[Row]) -> Row | None:
    return rows.select_for_update(no_key=True).first()


def _locked_enrollment(course: Course, learner: Learner) -> Enrollment | None:
    ids = list(course.enrollments.filter(learner=learner).values_list("pk", flat=True))
    # Before the enrollment: ingest and evaluation use this order too.
    lock_due(ids)
    return _locked(course.enrollments.filter(pk__in=ids))


def _course(values: Mapping[str, Any]) -> Course:
    return _found(Course.objects.all(), "Course", key=key_in(values, "course"))


def _section(course: Course, key: str | None) -> Section | None:
    return None if key is None else _found(course.sections.all(), "Section", key=key)


def _module(course: Course, key: str | None) -> Item | None:
    if key is None:
        return None
    module = _found(course.items.all(), "Item", key=key)
    if module.kind != ItemKind.MODULE:
        raise RosterError(f"The parent {shown(key)} is not a module: its kind is {module.kind}.")
    return module


def _found(rows: QuerySet[Row], name: str, **where: str) -> Row:
    row = rows.filter(**where).first()
    if row is None:
        raise RosterError(f"{name} {shown(next(iter(where.values())))} is unknown.")
    return row
