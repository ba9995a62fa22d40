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

from activity.models import Course, Enrollment, Learner
from activity.operations.due import lock_due
from activity.operations.effects import Effects, changing, lock_rows
from activity.operations.roster import change_enrollment, change_learner, change_section
from activity.operations.roster_values import RosterError
from activity.spreadsheet import FIELDS_BY_NAME, ID, SheetRow
from activity.texts import key_text

_BATCH = 500


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
    course: Course, rows: Iterable[SheetRow], *, now: datetime, dry_run: bool
) -> list[RowResult]:
    """Create or change the learners and their enrollments in the course, 500 per transaction.

    A faulty row does not affect the others. Importing a file again changes nothing. A dry run does
    everything in one transaction and rolls it back, so it returns the same and stores nothing.
    Nobody is drawn or messaged: the first evaluation of an enrollment starts nothing.
    """
    left, results = iter(rows), list[RowResult]()
    with transaction.atomic() if dry_run else nullcontext():
        while batch := list(islice(left, _BATCH)):
            results += _import(course, batch, now)
        if dry_run:
            transaction.set_rollback(True)
    return results


def _import(course: Course, batch: Sequence[SheetRow], now: datetime) -> list[RowResult]:
    with changing(now=now) as effects:
        # All rows at once and in order, learners before Due rows, as in other imports and ingest.
        ids = {key_text(row.learner.get(ID)) for row in batch if not row.fault}
        lock_rows(Learner.objects.filter(external_id__in=ids))
        known = course.enrollments.filter(learner__external_id__in=ids)
        lock_due(known.values_list("pk", flat=True))
        return [_import_row(course, row, effects, now) for row in batch]


def _import_row(course: Course, row: SheetRow, effects: Effects, now: datetime) -> RowResult:
    name = str(row.learner.get(ID, ""))
    if row.fault:
        return RowResult(row.number, name, RowKind.REFUSED, row.fault)
    try:
        with transaction.atomic():
            kind, details = _change(course, row, effects, now)
    except (RosterError, IntegrityError, DataError) as error:
        return RowResult(row.number, name, RowKind.REFUSED, str(error))
    finally:
        remarks = list(effects.remarks)
        effects.remarks.clear()
    return RowResult(row.number, name, kind, " ".join([*details, *remarks]))


def _change(
    course: Course, row: SheetRow, effects: Effects, now: datetime
) -> tuple[RowKind, list[str]]:
    """Save the learner and the enrollment. Return what it was, and what changed in words."""
    learner = Learner.objects.filter(external_id=key_text(row.learner[ID])).first()
    enrolled = course.enrollments.select_related("section")
    enrollment = enrolled.filter(learner=learner).first() if learner else None
    details = _new_section(course, row, effects, now)
    changed = [
        *_changed(learner, change_learner(row.learner, effects, now), row.learner),
        *_changed(enrollment, change_enrollment(row.enrollment, effects, now), row.enrollment),
    ]
    if learner is None or enrollment is None:
        return (RowKind.NEW if learner is None else RowKind.ENROLLED), details + changed
    return (RowKind.CHANGED if changed else RowKind.SAME), details + changed


def _new_section(course: Course, row: SheetRow, effects: Effects, now: datetime) -> list[str]:
    key = row.enrollment.get("section")
    if key is None or course.sections.filter(key=key_text(key)).exists():
        return []
    change_section({"course": course.key, "key": key}, effects, now)
    return [f"The section {key} is new."]


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
