"""Import a file of JSON lines: create or change rosters, and pass events to ingest."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import DataError, IntegrityError, transaction

from activity.canonical import Reason
from activity.jsonl import FAULTY, Line, grouped, read_lines
from activity.models import Course, Enrollment, Item, Learner, Section
from activity.operations.due import lock_due
from activity.operations.effects import Effects, changing, lock_rows
from activity.operations.ingest import ingest
from activity.operations.roster import (
    change_course,
    change_enrollment,
    change_item,
    change_learner,
    change_opt_out,
    change_section,
)
from activity.operations.roster_values import RosterError
from activity.texts import key_text

CHANGES: Mapping[str, Callable[[Mapping[str, Any], Effects, datetime], object]] = {
    "course": change_course,
    "section": change_section,
    "item": change_item,
    "learner": change_learner,
    "enrollment": change_enrollment,
    "optout": change_opt_out,
}


@dataclass(frozen=True, slots=True)
class LineFault:
    """A sentence about one line of the file.

    As a fault it says why the line was not imported. `waits`: the event will be stored
    automatically when its instant has come.
    """

    line: int
    message: str
    waits: bool = False


@dataclass(slots=True)
class JsonlResult:
    """The result of an import. `saved` counts roster lines by type, new or changed.

    `graded` counts the repeated events that added a missing grade. `remarks` are about lines that
    were imported although a detail was doubtful. `courses` holds the sorted keys of the courses
    that the lines name.
    """

    saved: dict[str, int] = field(default_factory=dict)
    stored: int = 0
    repeated: int = 0
    graded: int = 0
    faults: list[LineFault] = field(default_factory=list)
    remarks: list[LineFault] = field(default_factory=list)
    courses: list[str] = field(default_factory=list)


def import_jsonl(
    lines: Iterable[bytes],
    *,
    now: datetime,
    dry_run: bool = False,
    on_bytes: Callable[[int], object] = lambda count: None,
    on_end: Callable[[JsonlResult], object] = lambda result: None,
) -> JsonlResult:
    """Import the lines, up to 1,000 adjacent lines of one type per transaction.

    A faulty line does not affect the others. Importing a file again changes nothing. A dry run does
    everything in one transaction and rolls it back, so it returns the same and stores nothing.
    Meanwhile it holds its locks. `on_end` is called before the rollback of a dry run.
    """
    with transaction.atomic() if dry_run else nullcontext():
        result = _import(read_lines(lines, on_bytes=on_bytes), now=now)
        on_end(result)
        if dry_run:
            transaction.set_rollback(True)
    return result


def _import(lines: Iterable[Line], *, now: datetime) -> JsonlResult:
    result = JsonlResult()
    courses: set[str] = set()
    for type_, group in grouped(lines):
        courses |= _keys(group, "key" if type_ == "course" else "course")
        if type_ == FAULTY:
            result.faults.extend(LineFault(line.number, line.fault) for line in group)
        elif type_ == "event":
            _ingest(group, result, now=now)
        else:
            _save(type_, group, result, now=now)
    result.faults.sort(key=lambda fault: fault.line)
    result.remarks.sort(key=lambda remark: remark.line)
    result.courses = sorted(courses)
    return result


def _ingest(group: Sequence[Line], result: JsonlResult, *, now: datetime) -> None:
    ingested = ingest([line.values for line in group], now=now)
    result.stored += ingested.stored
    result.repeated += ingested.repeated
    result.graded += ingested.graded
    result.remarks.extend(
        LineFault(group[remark.index].number, remark.message) for remark in ingested.remarks
    )
    result.faults.extend(
        LineFault(
            group[rejection.index].number,
            rejection.message,
            waits=rejection.reason == Reason.EARLY,
        )
        for rejection in ingested.rejected
    )


def _save(type_: str, group: Sequence[Line], result: JsonlResult, *, now: datetime) -> None:
    with changing(now=now) as effects:
        _lock_known(type_, group)
        for line in group:
            try:
                with transaction.atomic():
                    CHANGES[type_](line.values, effects, now)
            except (RosterError, IntegrityError, DataError) as error:
                result.faults.append(LineFault(line.number, str(error)))
            else:
                result.saved[type_] = result.saved.get(type_, 0) + 1
                result.remarks += [LineFault(line.number, text) for text in effects.remarks]
            effects.remarks.clear()


def _lock_known(type_: str, group: Sequence[Line]) -> None:
    # All rows at once and in order. Locked one by one in the order of the file, they could deadlock
    # with an ingest of the same enrollments or with another import of the same rows.
    match type_:
        case "course":
            lock_rows(Course.objects.filter(key__in=_keys(group, "key")))
        case "section":
            lock_rows(Section.objects.filter(**_in_courses(group)))
        case "item":
            lock_rows(Item.objects.filter(**_in_courses(group)))
        case "learner":
            lock_rows(Learner.objects.filter(external_id__in=_keys(group, "external_id")))
        case "enrollment":
            _lock_enrolled(group)


def _lock_enrolled(group: Sequence[Line]) -> None:
    learners = _keys(group, "learner")
    lock_rows(Learner.objects.filter(external_id__in=learners))
    known = Enrollment.objects.filter(
        course__key__in=_keys(group, "course"), learner__external_id__in=learners
    )
    lock_due(known.values_list("pk", flat=True))


def _in_courses(group: Sequence[Line]) -> dict[str, set[str]]:
    return {"course__key__in": _keys(group, "course"), "key__in": _keys(group, "key")}


def _keys(group: Sequence[Line], name: str) -> set[str]:
    keys = (key_text(line.values.get(name)) for line in group)
    return {key for key in keys if isinstance(key, str) and key.isprintable()}
