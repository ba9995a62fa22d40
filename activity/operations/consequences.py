"""Store a changed row of the roster and do what follows from it: rebuild, pull."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Model, QuerySet

from activity.canonical import shown
from activity.models import Course, Due, DueCause, Enrollment, Item, Learner
from activity.operations.due import lock_due, pull_due
from activity.operations.edits import count_edits, settle_edit
from activity.operations.roster_values import RosterError

Row = TypeVar("Row", bound=Model)

# What the signals depend on, and what the read models were made with.
SIGNALS: dict[type[Model], tuple[str, ...]] = {
    Course: ("starts_on", "ends_on", "time_zone", "pass_mark", "clock_stopped_at"),
    Item: ("kind", "parent_id", "assigned_on", "due_on", "topic"),
    Learner: ("traits",),
    Enrollment: ("section_id", "enrolled_at", "withdrew_at", "completed_at"),
}
READ_MODELS: dict[type[Model], tuple[str, ...]] = {
    Course: ("time_zone", "pass_mark"),
    Item: ("kind", "parent_id"),
}
# Others write these columns; a form that was open meanwhile must not set them back.
NOT_EDITED = frozenset({"last_event_at", "edits", "settled_edits"})


@dataclass(slots=True)
class Consequences:
    """Whom changed rows concern. `rebuilds` are those of the courses that need one."""

    rebuilds: set[int] = field(default_factory=set)
    courses: set[int] = field(default_factory=set)
    learners: set[int] = field(default_factory=set)
    enrollments: set[int] = field(default_factory=set)


def save_edited(row: Model, *, now: datetime) -> None:
    """Save a row of the roster that a form has changed and validated, with all that follows."""
    with changing(now=now) as consequences:
        store_row(row, consequences, now=now)


@contextmanager
def changing(*, now: datetime) -> Iterator[Consequences]:
    """Change rows of the roster in one transaction, with all that follows.

    The few enrollments of a learner are pulled in the same transaction. A course is rebuilt and
    pulled after it, in chunks, so that ingest never waits for a whole course; its count of edits
    tells `settle_edits` if that did not happen.
    """
    consequences = Consequences()
    with transaction.atomic():
        yield consequences
        # Last and all at once: Due rows come after learners, and in enrollment order.
        pull_due(_concerned(consequences), at=now, cause=DueCause.EDIT)
        numbers = count_edits(consequences.courses)
    for course_id, number in numbers.items():
        settle_edit(course_id, number, rebuild=course_id in consequences.rebuilds, now=now)


def store_row(row: Row, consequences: Consequences, *, now: datetime) -> Row:
    """Save the row, and note in `consequences` whom it concerns. Call it within `changing`."""
    if isinstance(row, Course):
        _check_zone(row)
    if row.pk is None:
        _insert(row, consequences, now=now)
    else:
        _update(row, consequences)
    return row


def lock_learners(learners: QuerySet[Learner]) -> None:
    """Lock the learners in order until the transaction ends, and change nothing."""
    list(learners.order_by("pk").select_for_update(no_key=True).values_list("pk"))


def _concerned(consequences: Consequences) -> set[int]:
    enrolled = Enrollment.objects.filter(learner__in=consequences.learners)
    return consequences.enrollments.union(enrolled.order_by().values_list("pk", flat=True))


def _insert(row: Model, consequences: Consequences, *, now: datetime) -> None:
    if isinstance(row, Enrollment):
        # A change of traits that does not see this enrollment yet would not pull it.
        lock_learners(Learner.objects.filter(pk=row.learner_id))
    row.save(force_insert=True)
    if isinstance(row, Enrollment):
        Due.objects.create(enrollment=row, due_at=now)
    # A new course has no enrollments and a new learner none, but a new item concerns everybody.
    if isinstance(row, Item):
        consequences.courses.add(row.course_id)


def _update(row: Model, consequences: Consequences) -> None:
    if isinstance(row, Enrollment):
        lock_due([row.pk])
    before = type(row)._default_manager.get(pk=row.pk)
    columns = [column.name for column in row._meta.concrete_fields if not column.primary_key]
    row.save(update_fields=[name for name in columns if name not in NOT_EDITED])
    if _differ(before, row, SIGNALS):
        _concern(row, consequences)
    if _differ(before, row, READ_MODELS):
        consequences.rebuilds.add(row.course_id if isinstance(row, Item) else row.pk)


def _differ(before: Model, row: Model, names: dict[type[Model], tuple[str, ...]]) -> bool:
    return any(getattr(before, name) != getattr(row, name) for name in names.get(type(row), ()))


def _concern(row: Model, consequences: Consequences) -> None:
    match row:
        case Course():
            consequences.courses.add(row.pk)
        case Item():
            consequences.courses.add(row.course_id)
        case Learner():
            consequences.learners.add(row.pk)
        case Enrollment():
            consequences.enrollments.add(row.pk)


def _check_zone(course: Course) -> None:
    # Local days are computed in SQL: a zone that only Python knows would make every ingest fail.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = %s)", [course.time_zone]
        )
        if not cursor.fetchone()[0]:
            raise RosterError(f"The database knows no time zone {shown(course.time_zone)}.")
