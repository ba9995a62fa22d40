"""Store a changed row of the roster, then rebuild and pull the affected enrollments."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet

from activity.models import Course, Due, DueCause, Enrollment, Item, Learner
from activity.operations.due import lock_due, pull_due
from activity.operations.edits import count_edits, settle_edit
from activity.operations.noes import keep_roster_no
from activity.operations.past import note_past_changed
from common.json_text import canonical_json

Row = TypeVar("Row", bound=Model)

# The columns on which signals depend, and the columns on which the read models depend.
SIGNALS: dict[type[Model], tuple[str, ...]] = {
    Course: ("starts_on", "ends_on", "time_zone", "pass_mark", "grace_days", "clock_stopped_at"),
    Item: ("key", "kind", "parent_id", "assigned_on", "due_on", "topic"),
    Learner: ("traits",),
    Enrollment: ("section_id", "enrolled_at", "withdrew_at", "completed_at", "traits"),
}
READ_MODELS: dict[type[Model], tuple[str, ...]] = {
    Course: ("time_zone", "pass_mark"),
    Item: ("kind", "parent_id"),
}
# The rows of one statement.
_STATEMENT = 1_000
# Other code writes these columns; a form that was open meanwhile must not reset them.
NOT_EDITED = frozenset({"last_event_at", "edits", "settled_edits"})


@dataclass(slots=True)
class Effects:
    """The ids affected by changed rows. `rebuilds` are courses that need new read models."""

    rebuilds: set[int] = field(default_factory=set)
    courses: set[int] = field(default_factory=set)
    learners: set[int] = field(default_factory=set)
    enrollments: set[int] = field(default_factory=set)
    # Sentences about doubtful details of the rows.
    remarks: list[str] = field(default_factory=list)


def save_edited(row: Model, *, now: datetime, columns: Collection[str] | None = None) -> None:
    """Save a row of the roster that a form has changed and validated, and apply the effects.

    `columns` are the fields that the form changed (None: any field may have changed). Values that
    were saved in other columns since the form read the row are kept.
    """
    with changing(now=now) as effects:
        before = None if row.pk is None else _lock(row)
        store_row(row, effects, before=before, columns=columns, now=now)


@contextmanager
def changing(*, now: datetime) -> Iterator[Effects]:
    """Change rows of the roster in one transaction, and apply the effects.

    The few enrollments of a learner are pulled in the same transaction. A course is rebuilt and
    pulled afterwards, in batches, so that ingest never waits for a whole course. If the process
    dies before that, `settle_edits` sees it by the course's count of edits.
    """
    effects = Effects()
    with transaction.atomic():
        yield effects
        # Last and all at once: Due rows are locked after learners, and in enrollment order.
        pull_due(_concerned(effects), at=now, cause=DueCause.EDIT)
        numbers = count_edits(effects.courses)
        # A due date or a kind decides what is owed. A rebuild notes the change once more.
        note_past_changed(effects.courses)
    for course_id, number in numbers.items():
        settle_edit(course_id, number, rebuild=course_id in effects.rebuilds, now=now)


def store_row(
    row: Row,
    effects: Effects,
    *,
    before: Row | None,
    now: datetime,
    columns: Collection[str] | None = None,
) -> Row:
    """Save the row, and add to `effects` what the change affects. Call it within `changing`.

    `before` is the row as it was read under its lock, None for a new row. Only columns that differ
    from it are written, and only those in `columns`, if given.
    """
    if before is None:
        _insert(row, effects, now=now)
    else:
        _update(row, _changed(row, before, columns), effects)
    if isinstance(row, Learner) and _begins_to_opt_out(row, before):
        keep_roster_no(row, now=now)
    return row


def store_rows(pairs: Sequence[tuple[Row | None, Row]], effects: Effects, *, now: datetime) -> None:
    """Save learners or enrollments as `store_row` does, in a few statements for all of them.

    Each comes with the row as it was read under its lock, None for a new row. The learners of
    enrollments are locked or new.
    """
    new = [row for before, row in pairs if before is None]
    if new:
        type(new[0])._default_manager.bulk_create(new, batch_size=_STATEMENT)
        due = [Due(enrollment=row, due_at=now) for row in new if isinstance(row, Enrollment)]
        Due.objects.bulk_create(due, batch_size=_STATEMENT)
    _update_all([(row, _changed(row, old, None)) for old, row in pairs if old is not None], effects)
    for before, row in pairs:
        if isinstance(row, Learner) and _begins_to_opt_out(row, before):
            keep_roster_no(row, now=now)


def _update_all(rows: Sequence[tuple[Row, frozenset[str]]], effects: Effects) -> None:
    changed = [(row, names) for row, names in rows if names]
    if not changed:
        return
    # A column that another row changes is written with the value that was read under the lock.
    columns = sorted(frozenset[str]().union(*(names for _, names in changed)))
    manager = type(changed[0][0])._default_manager
    manager.bulk_update([row for row, _ in changed], columns, batch_size=_STATEMENT)
    for row, names in changed:
        if names.intersection(SIGNALS.get(type(row), ())):
            _concern(row, effects)


def lock_rows(rows: QuerySet[Row]) -> None:
    """Lock the rows in order until the transaction ends."""
    # Only these rows: rows of joined tables are not changed here.
    locked = rows.order_by("pk").select_for_update(no_key=True, of=("self",))
    list(locked.values_list("pk"))


def _lock(row: Row) -> Row:
    """Lock the row until the transaction ends, and return its current state."""
    if isinstance(row, Enrollment):
        # The Due row first: ingest and evaluation lock it before the enrollment.
        lock_due([row.pk])
    return type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)


def _begins_to_opt_out(learner: Learner, before: Model | None) -> bool:
    # Only a change to true counts. A flag that is repeated in every roster is no new opt-out, and
    # the learner may have opted in again meanwhile.
    return learner.opted_out and not (isinstance(before, Learner) and before.opted_out)


def _concerned(effects: Effects) -> set[int]:
    enrolled = Enrollment.objects.filter(learner__in=effects.learners)
    return effects.enrollments.union(enrolled.order_by().values_list("pk", flat=True))


def _insert(row: Model, effects: Effects, *, now: datetime) -> None:
    if isinstance(row, Enrollment):
        # A simultaneous change of traits would not see this enrollment, and would not pull it.
        lock_rows(Learner.objects.filter(pk=row.learner_id))
    row.save(force_insert=True)
    if isinstance(row, Enrollment):
        Due.objects.create(enrollment=row, due_at=now)
    # A new course or learner has no enrollments yet. A new item affects the whole course.
    if isinstance(row, Item):
        effects.courses.add(row.course_id)


def _update(row: Model, changed: frozenset[str], effects: Effects) -> None:
    if not changed:
        return
    # Only the changed columns: ingest, an import or another form may be writing others.
    row.save(update_fields=changed)
    if changed.intersection(SIGNALS.get(type(row), ())):
        _concern(row, effects)
    if changed.intersection(READ_MODELS.get(type(row), ())):
        effects.rebuilds.add(row.course_id if isinstance(row, Item) else row.pk)


def _changed(row: Model, before: Model, columns: Collection[str] | None) -> frozenset[str]:
    edited = {
        column.attname
        for column in row._meta.concrete_fields
        if column.name not in NOT_EDITED and (columns is None or column.name in columns)
    }
    return frozenset(name for name in edited if _comparable(before, name) != _comparable(row, name))


def _comparable(row: Model, name: str) -> object:
    value = getattr(row, name)
    # In Python true equals 1 and 1.0; in JSON they are three values.
    return canonical_json(value) if isinstance(value, dict) else value


def _concern(row: Model, effects: Effects) -> None:
    match row:
        case Course():
            effects.courses.add(row.pk)
        case Item():
            effects.courses.add(row.course_id)
        case Learner():
            effects.learners.add(row.pk)
        case Enrollment():
            effects.enrollments.add(row.pk)
