"""Enroll the learners of a spreadsheet in a course, or say per row what would happen."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from django.db import DataError, IntegrityError, transaction
from django.db.models import Model, QuerySet

from activity.access import Viewer, for_user
from activity.models import Course, Enrollment, Learner, Section
from activity.operations.due import lock_due
from activity.operations.effects import changing, lock_rows, store_rows
from activity.operations.roster_values import RosterError, fill, key_in, optional_key_in
from activity.queries import telling_progress
from activity.spreadsheet import FIELDS_BY_NAME, ID, SheetRow
from activity.texts import key_text
from common.dates import instant_text

Row = TypeVar("Row", bound=Model)
_BATCH = 1_000
_LOOKED_UP = frozenset({"course", "learner", "section"})
_HIDDEN = (
    "This is the id of a learner of other courses, whose data you may not change. To enroll the"
    " learner, leave out the columns that describe the learner."
)


class RowKind(StrEnum):
    """What an import does with a row."""

    NEW = "new learner"
    ENROLLED = "known learner, newly enrolled"
    CHANGED = "changed"
    SAME = "nothing changes"
    REFUSED = "not imported"


@dataclass(frozen=True)
class RowResult:
    """What happened to a row, with the changed fields, doubtful details or the fault."""

    number: int
    learner: str
    kind: RowKind
    details: str = ""


def import_spreadsheet(
    course: Course, rows: Iterable[SheetRow], *, viewer: Viewer, now: datetime, dry_run: bool
) -> list[RowResult]:
    """Create or change the learners and their enrollments in the course, 1,000 per transaction.

    A faulty row does not affect the others. Importing a file again changes nothing. A dry run does
    everything in one transaction and rolls it back, so it returns the same and stores nothing.
    Nobody is drawn or messaged: the first evaluation of an enrollment starts nothing. Learners that
    the viewer may not see can be enrolled, but not changed. `running_imports` tells how far it is.
    """
    listed = list(rows)
    if not dry_run:
        return _in_batches(course, listed, viewer, now)
    with transaction.atomic():
        # Before the first batch, because locks keep their order within a transaction.
        _lock(course, {_id_of(row) for row in listed})
        results = _in_batches(course, listed, viewer, now)
        transaction.set_rollback(True)
    return results


def _in_batches(
    course: Course, rows: Sequence[SheetRow], viewer: Viewer, now: datetime
) -> list[RowResult]:
    results: list[RowResult] = []
    with telling_progress(viewer, course, of=len(rows)) as tell:
        for start in range(0, len(rows), _BATCH):
            tell(start)
            results += _import(course, rows[start : start + _BATCH], viewer, now)
    return results


def _import(
    course: Course, batch: Sequence[SheetRow], viewer: Viewer, now: datetime
) -> list[RowResult]:
    """Save the rows in one transaction, in about 15 statements.

    If the database refuses one of them, each half is saved by itself, until the faulty row stands
    alone. The halves begin without locks, so the order of locking is kept.
    """
    try:
        return _save(course, batch, viewer, now)
    except (IntegrityError, DataError) as error:
        if len(batch) == 1:
            return [RowResult(batch[0].number, _name_in(batch[0]), RowKind.REFUSED, str(error))]
    middle = len(batch) // 2
    halves = (batch[:middle], batch[middle:])
    return [each for half in halves for each in _import(course, half, viewer, now)]


def _save(
    course: Course, batch: Sequence[SheetRow], viewer: Viewer, now: datetime
) -> list[RowResult]:
    with changing(now=now) as effects:
        known = _known(course, {_id_of(row) for row in batch}, viewer)
        results = [_result(known, row, now) for row in batch]
        Section.objects.bulk_create(each for each in known.sections.values() if each._state.adding)
        store_rows([(each.before, each.row) for each in known.learners.values()], effects, now=now)
        for key, each in known.enrollments.items():
            # The ids of new rows are known only now.
            each.row.learner, each.row.section = known.learners[key].row, each.row.section
        store_rows(
            [(each.before, each.row) for each in known.enrollments.values()], effects, now=now
        )
    return results


@dataclass(frozen=True)
class _Change(Generic[Row]):
    """A row as it was read under its lock, None for a new row, and as it will be saved."""

    before: Row | None
    row: Row


@dataclass(frozen=True)
class _Known:
    """The rows of the course by key and by id of the learner, as they are before the next row."""

    course: Course
    learners: dict[str, _Change[Learner]]
    # The ids of those learners that the viewer may see.
    seen: set[str]
    enrollments: dict[str, _Change[Enrollment]]
    sections: dict[str, Section]

    def hides(self, row: SheetRow) -> bool:
        """Return whether the row changes a learner that the viewer may not see."""
        key = _id_of(row)
        return key in self.learners and key not in self.seen and bool(set(row.learner) - {ID})


def _lock(course: Course, ids: set[str]) -> tuple[QuerySet[Learner], QuerySet[Enrollment]]:
    """Lock the learners and their enrollments in the course, and return them."""
    # All rows at once and in order, learners before Due rows, as in other imports and ingest.
    learners = Learner.objects.filter(external_id__in=ids)
    lock_rows(learners)
    enrollments = course.enrollments.filter(learner__in=learners)
    lock_due(enrollments.values_list("pk", flat=True))
    lock_rows(enrollments)
    return learners, enrollments


def _known(course: Course, ids: set[str], viewer: Viewer) -> _Known:
    learners, enrollments = _lock(course, ids)
    return _Known(
        course=course,
        learners={each.external_id: _Change(each, each) for each in learners.all()},
        seen=set(for_user(learners, viewer).values_list("external_id", flat=True)),
        enrollments={
            each.learner.external_id: _Change(each, each)
            for each in enrollments.select_related("section", "learner")
        },
        sections={each.key: each for each in course.sections.all()},
    )


def _name_in(row: SheetRow) -> str:
    return str(row.learner.get(ID, ""))


def _id_of(row: SheetRow) -> str:
    return str(key_text(_name_in(row)))


def _result(known: _Known, row: SheetRow, now: datetime) -> RowResult:
    name = _name_in(row)
    if row.fault:
        return RowResult(row.number, name, RowKind.REFUSED, row.fault)
    if known.hides(row):
        return RowResult(row.number, name, RowKind.REFUSED, _HIDDEN)
    try:
        kind, details = _change(known, row, now)
    except RosterError as error:
        return RowResult(row.number, name, RowKind.REFUSED, str(error))
    return RowResult(row.number, name, kind, " ".join(details))


def _change(known: _Known, row: SheetRow, now: datetime) -> tuple[RowKind, list[str]]:
    """Note the new state of the learner and the enrollment, if the whole row has no fault.

    Return what the row was, and what changes in words.
    """
    key = key_in(row.learner, ID)
    person, enrolled = known.learners.get(key), known.enrollments.get(key)
    section = _section(known, row)
    learner = copy(person.row) if person else Learner(external_id=key)
    new = Enrollment(course=known.course, enrolled_at=row.begins_at or now)
    joined = copy(enrolled.row) if enrolled else new
    joined.section = section or joined.section
    remarks = fill(learner, row.learner, looked_up=frozenset())
    remarks += fill(joined, row.enrollment, looked_up=_LOOKED_UP)
    details = [*_new(known, section), *_changed(person, learner, row.learner)]
    details += _changed(enrolled, joined, row.enrollment)
    # Only now: a row that fails takes its new section back with it.
    known.sections.update({section.key: section} if section else {})
    known.seen.add(key)
    known.learners[key] = _Change(person.before if person else None, learner)
    known.enrollments[key] = _Change(enrolled.before if enrolled else None, joined)
    return _kind(person, enrolled, details), [*details, *remarks]


def _kind(person: object, enrolled: object, details: Sequence[str]) -> RowKind:
    if person is None:
        return RowKind.NEW
    if enrolled is None:
        return RowKind.ENROLLED
    return RowKind.CHANGED if details else RowKind.SAME


def _section(known: _Known, row: SheetRow) -> Section | None:
    """Return the section that the row names, a new one if the course has none of this key."""
    key = optional_key_in(row.enrollment, "section")
    if key is None or key in known.sections:
        return known.sections[key] if key else None
    section = Section(course=known.course, key=key)
    fill(section, {"key": key}, looked_up=frozenset())
    return section


def _new(known: _Known, section: Section | None) -> list[str]:
    is_new = section is not None and section.key not in known.sections
    return [f"The section {section.key} is new."] if section and is_new else []


def _changed(known: _Change[Row] | None, after: Row, values: Mapping[str, Any]) -> list[str]:
    if known is None:
        return []
    before, names = known.row, [name for name in values if name in FIELDS_BY_NAME]
    return [
        f"{FIELDS_BY_NAME[name].label}: {_shown(before, name)} becomes {_shown(after, name)}."
        for name in names
        if getattr(before, name) != getattr(after, name)
    ]


def _shown(row: Model, name: str) -> str:
    value = getattr(row, name)
    if isinstance(row, Enrollment) and isinstance(value, datetime):
        value = instant_text(value, zone=row.course.time_zone)
    return "empty" if value in (None, "") else f"“{value}”"
