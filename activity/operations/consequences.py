"""Store a changed row of the roster and do what follows from it: rebuild, pull."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Model

from activity.canonical import shown
from activity.models import Course, Due, DueCause, Enrollment, Item, Learner
from activity.operations.due import lock_due, pull_chunks
from activity.operations.read_models import rebuild_read_models
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
# Ingest writes this column; a form that was open meanwhile must not set it back.
NOT_EDITED = frozenset({"last_event_at"})


@dataclass(slots=True)
class Consequences:
    """What has to follow from changed rows: rebuilds first, then pulls."""

    rebuilds: set[int] = field(default_factory=set)
    courses: set[int] = field(default_factory=set)
    learners: set[int] = field(default_factory=set)
    enrollments: set[int] = field(default_factory=set)


def save_edited(row: Model, *, now: datetime) -> None:
    """Save a row of the roster that a form has changed and validated, with all that follows."""
    consequences = Consequences()
    with transaction.atomic():
        store_row(row, consequences, now=now)
    settle(consequences, now=now)


def store_row(row: Row, consequences: Consequences, *, now: datetime) -> Row:
    """Save the row, and note in `consequences` what the caller has to settle afterwards."""
    if isinstance(row, Course):
        _check_zone(row)
    if row.pk is None:
        _insert(row, consequences, now=now)
    else:
        _update(row, consequences)
    return row


def settle(consequences: Consequences, *, now: datetime) -> None:
    """Rebuild and pull what the changed rows concern, in chunks unless a transaction is open."""
    for course_id in sorted(consequences.rebuilds):
        rebuild_read_models(course_id=course_id)
    ids = Enrollment.objects.order_by().values_list("pk", flat=True)
    concerned = set(consequences.enrollments)
    if consequences.courses:
        concerned.update(ids.filter(course__in=consequences.courses))
    if consequences.learners:
        concerned.update(ids.filter(learner__in=consequences.learners))
    pull_chunks(concerned, at=now, cause=DueCause.EDIT)


def _insert(row: Model, consequences: Consequences, *, now: datetime) -> None:
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
