"""Copy the data in the database up to a given number of enrollments."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.backends.utils import CursorWrapper

# For each copy, a multiple of this is added to the ids.
STRIDE = 100_000_000

# By table: the columns that differ in a copy. "id" stands for an id or a foreign key.
TABLES: dict[str, dict[str, str]] = {
    "activity_course": {"id": "id", "key": "key || '#' || n"},
    "activity_item": {"id": "id", "course_id": "id", "parent_id": "id"},
    "activity_learner": {"id": "id", "external_id": "external_id || '#' || n"},
    "activity_enrollment": {
        "id": "id",
        "learner_id": "id",
        "course_id": "id",
        "unit_key": "gen_random_uuid()",
    },
    "activity_due": {"enrollment_id": "id"},
    "segmentation_playbookcourse": {"id": "id", "course_id": "id"},
    "activity_dailyactivity": {"id": "id", "enrollment_id": "id"},
    "activity_progress": {"id": "id", "enrollment_id": "id", "item_id": "id"},
}
LARGE = ("activity_dailyactivity", "activity_progress")


def replicate(enrollments: int) -> None:
    """Copy all courses with their learners and read models, but without events.

    Earlier evaluations are deleted. The copies have the same data as the originals. No enrollment
    has events after the instant of evaluation, so the event log is not needed.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE segmentation_membership, segmentation_transition, segmentation_norms CASCADE;"
            " UPDATE activity_due SET evaluated_at = NULL, rules_revision = NULL"
        )
        cursor.execute("SELECT count(*) FROM activity_enrollment")
        copies = -(-enrollments // cursor.fetchone()[0]) - 1
        # Foreign keys of copies are consistent, and checking each of them would take half an hour.
        cursor.execute("SET session_replication_role = replica")
        copy_rows(cursor, TABLES, copies=copies)
        cursor.execute("RESET session_replication_role")
        cursor.execute("VACUUM (ANALYZE)")


def copy_rows(cursor: CursorWrapper, tables: dict[str, dict[str, str]], *, copies: int) -> None:
    """Copy each row of the tables. By table, the columns that differ in a copy."""
    for table, changed in tables.items():
        with _without_keys(cursor, table):
            cursor.execute(_copy(cursor, table, changed), [copies])


@contextmanager
def _without_keys(cursor: CursorWrapper, table: str) -> Iterator[None]:
    """Drop the keys of a large table, and build them again once after the block."""
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = %s::regclass AND contype IN ('p', 'u')",
        [table],
    )
    keys = cursor.fetchall() if table in LARGE else []
    for name, _ in keys:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    yield
    for name, definition in keys:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


def _copy(cursor: CursorWrapper, table: str, changed: dict[str, str]) -> str:
    columns = [one.name for one in connection.introspection.get_table_description(cursor, table)]
    values = [_value(name, changed.get(name)) for name in columns]
    quoted = ", ".join(f'"{name}"' for name in columns)
    return (
        f"INSERT INTO {table} ({quoted}) SELECT {', '.join(values)}"
        f" FROM generate_series(1, %s) AS n CROSS JOIN LATERAL (SELECT * FROM {table} OFFSET 0) one"
    )


def _value(name: str, how: str | None) -> str:
    if how is None:
        return f'one."{name}"'
    return f'one."{name}" + n * {STRIDE}::bigint' if how == "id" else how
