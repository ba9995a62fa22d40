"""Enroll the learners of a spreadsheet in a course, or say per row what would happen."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

from django.db import DataError, IntegrityError, transaction
from django.db.models import Model

from activity.access import Viewer, for_user
from activity.models import Course, Enrollment, Learner
from activity.operations.due import lock_due
from activity.operations.effects import Effects, changing, lock_rows
from activity.operations.roster import change_enrollment, change_learner, change_section
from activity.operations.roster_values import RosterError
from activity.spreadsheet import FIELDS_BY_NAME, ID, SheetRow
from activity.texts import key_text

_BATCH = 500
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
    """Create or change the learners and their enrollments in the course, 500 per transaction.

    A faulty row does not affect the others. Importing a file again changes nothing. A dry run does
    everything in one transaction and rolls it back, so it returns the same and stores nothing.
    Nobody is drawn or messaged: the first evaluation of an enrollment starts nothing. Learners that
    the viewer may not see can be enrolled, but not changed.
    """
    left, results = iter(rows), list[RowResult]()
    with transaction.atomic() if dry_run else nullcontext():
        while batch := list(islice(left, _BATCH)):
            results += _import(course, batch, viewer, now)
        if dry_run:
            transaction.set_rollback(True)
    return results


def _import(
    course: Course, batch: Sequence[SheetRow], viewer: Viewer, now: datetime
) -> list[RowResult]:
    with changing(now=now) as effects:
        # All rows at once and in order, learners before Due rows, as in other imports and ingest.
        learners = Learner.objects.filter(external_id__in=[_id_of(row) for row in batch])
        lock_rows(learners)
        enrollments = course.enrollments.filter(learner__in=learners)
        lock_due(enrollments.values_list("pk", flat=True))
        known = _Known(
            course=course,
            learners={row.external_id: row for row in learners},
            seen=set(for_user(learners, viewer).values_list("external_id", flat=True)),
            enrollments={row.learner_id: row for row in enrollments.select_related("section")},
            sections=set(course.sections.values_list("key", flat=True)),
        )
        return [_import_row(known, row, effects, now) for row in batch]


@dataclass(frozen=True)
class _Known:
    """The rows before the next row of the file is saved."""

    course: Course
    learners: dict[str, Learner]
    # The ids of those learners that the viewer may see.
    seen: set[str]
    enrollments: dict[int, Enrollment]
    sections: set[str]

    def hides(self, row: SheetRow) -> bool:
        """Return whether the row changes a learner that the viewer may not see."""
        key = _id_of(row)
        return key in self.learners and key not in self.seen and bool(set(row.learner) - {ID})


def _id_of(row: SheetRow) -> str:
    return str(key_text(row.learner.get(ID, "")))


def _import_row(known: _Known, row: SheetRow, effects: Effects, now: datetime) -> RowResult:
    name = str(row.learner.get(ID, ""))
    if row.fault:
        return RowResult(row.number, name, RowKind.REFUSED, row.fault)
    if known.hides(row):
        return RowResult(row.number, name, RowKind.REFUSED, _HIDDEN)
    try:
        with transaction.atomic():
            kind, details = _change(known, row, effects, now)
    except (RosterError, IntegrityError, DataError) as error:
        return RowResult(row.number, name, RowKind.REFUSED, str(error))
    finally:
        remarks = list(effects.remarks)
        effects.remarks.clear()
    return RowResult(row.number, name, kind, " ".join([*details, *remarks]))


def _change(
    known: _Known, row: SheetRow, effects: Effects, now: datetime
) -> tuple[RowKind, list[str]]:
    """Save the learner and the enrollment. Return what it was, and what changed in words."""
    before = known.learners.get(_id_of(row))
    enrolled = known.enrollments.get(before.pk) if before else None
    details = _new_section(known, row, effects, now)
    learner = change_learner(row.learner, effects, now)
    enrollment = change_enrollment(row.enrollment, effects, now)
    # Only now: a row that fails takes its new section back with it.
    known.learners[learner.external_id] = learner
    known.seen.add(learner.external_id)
    known.enrollments[learner.pk] = enrollment
    if "section" in row.enrollment:
        known.sections.add(str(key_text(row.enrollment["section"])))
    details += _changed(before, learner, row.learner)
    details += _changed(enrolled, enrollment, row.enrollment)
    if before is None or enrolled is None:
        return (RowKind.NEW if before is None else RowKind.ENROLLED), details
    return (RowKind.CHANGED if details else RowKind.SAME), details


def _new_section(known: _Known, row: SheetRow, effects: Effects, now: datetime) -> list[str]:
    key = row.enrollment.get("section")
    if key is None or key_text(key) in known.sections:
        return []
    section = change_section({"course": known.course.key, "key": key}, effects, now)
    return [f"The section {section.key} is new."]


def _changed(before: Model | None, after: Model, values: Mapping[str, Any]) -> list[str]:
    if before is None:
        return []
    names = [name for name in values if name in FIELDS_BY_NAME]
    return [
        f"{FIELDS_BY_NAME[name].label}: {_shown(before, name)} becomes {_shown(after, name)}."
        for name in names
        if getattr(before, name) != getattr(after, name)
    ]


def _shown(row: Learner | Enrollment | Model, name: str) -> str:
    value = getattr(row, name)
    return "empty" if value in (None, "") else f"“{value}”"
