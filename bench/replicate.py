"""Repeat everything in the database until there are so many enrollments."""

from django.db import connection

# Keys of rows are moved by a multiple of this for each copy.
STRIDE = 100_000_000

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
    "activity_dailyactivity": {"id": "id", "enrollment_id": "id"},
    "activity_progress": {"id": "id", "enrollment_id": "id", "item_id": "id"},
    "segmentation_playbookcourse": {"id": "id", "course_id": "id"},
}


def replicate(enrollments: int) -> None:
    """Copy all courses with their learners and read models, but without events.

    What was evaluated is forgotten. The copies get what the originals have; nobody is in the past
    of a reading, so the event log is not asked.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE segmentation_membership, segmentation_transition, segmentation_norms CASCADE;"
            " UPDATE activity_due SET evaluated_at = NULL, rules_revision = NULL"
        )
        cursor.execute("SELECT count(*) FROM activity_enrollment")
        copies = -(-enrollments // cursor.fetchone()[0]) - 1
        # The copies refer to each other as the originals do: checking each costs half an hour.
        cursor.execute("SET session_replication_role = replica")
        for table, changed in TABLES.items():
            cursor.execute(_copy(table, _columns(table), changed), [copies])
        cursor.execute("RESET session_replication_role")
        cursor.execute("VACUUM (ANALYZE)")


def _columns(table: str) -> list[str]:
    with connection.cursor() as cursor:
        return [
            column.name for column in connection.introspection.get_table_description(cursor, table)
        ]


def _copy(table: str, columns: list[str], changed: dict[str, str]) -> str:
    values = [_value(name, changed.get(name)) for name in columns]
    quoted = ", ".join(f'"{name}"' for name in columns)
    return (
        f"INSERT INTO {table} ({quoted}) SELECT {', '.join(values)}"
        f" FROM {table} CROSS JOIN generate_series(1, %s) AS n ORDER BY n, {table}.ctid"
    )


def _value(name: str, how: str | None) -> str:
    if how is None:
        return f'"{name}"'
    return f'"{name}" + n * {STRIDE}::bigint' if how == "id" else how
