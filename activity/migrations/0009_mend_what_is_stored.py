"""Correct rows that the next migration's constraints would refuse. Nothing is merged or lost."""

# The texts are constants of this migration.
# ruff: noqa: S608

import logging

from django.db import migrations

log = logging.getLogger(__name__)

FIRST, LAST = "'1900-01-01 00:00:00+00'::timestamptz", "'2199-12-31 00:00:00+00'::timestamptz"
FIRST_DAY, LAST_DAY = "'1900-01-01'::date", "'2199-12-31'::date"

# An instant beyond either end is set to that end. An instant that never comes is removed.
NULL_BOTH = "CASE WHEN {0} < {first} OR {0} > {last} THEN NULL ELSE {0} END"
NULL_AFTER = "CASE WHEN {0} < {first} THEN {first} WHEN {0} > {last} THEN NULL ELSE {0} END"
CUT = "LEAST(GREATEST({0}, {first}), {last})"

INSTANTS = {
    ("activity_course", "live_since"): NULL_BOTH,
    ("activity_course", "clock_stopped_at"): NULL_BOTH,
    ("activity_enrollment", "enrolled_at"): CUT,
    ("activity_enrollment", "withdrew_at"): NULL_AFTER,
    ("activity_enrollment", "completed_at"): NULL_AFTER,
}
DAYS = {
    ("activity_course", "starts_on"): CUT,
    ("activity_course", "ends_on"): CUT,
    ("activity_item", "assigned_on"): CUT,
    ("activity_item", "due_on"): CUT,
}

# A total above a million is an error of its source. The affected days are counted again.
COUNTS = """
WITH cut AS (
    UPDATE activity_event SET count = 1000000 WHERE count > 1000000 RETURNING enrollment_id
)
UPDATE activity_course SET edits = edits + 1 WHERE id IN (
    SELECT enrollment.course_id FROM activity_enrollment AS enrollment
    JOIN cut ON cut.enrollment_id = enrollment.id
)
"""
TRAITS = """
UPDATE {0} SET traits = CASE WHEN traits = 'null' THEN '{{}}' ELSE jsonb_build_object('value', traits) END
WHERE jsonb_typeof(traits) <> 'object'
"""

# The columns that hold keys, and the columns within which each key is unique.
KEYS = {
    ("activity_course", "key"): (),
    ("activity_section", "key"): ("course_id",),
    ("activity_item", "key"): ("course_id",),
    ("activity_learner", "external_id"): (),
    ("activity_verb", "name"): (),
    ("activity_event", "source_id"): ("source",),
}
# Of two rows with the same normalized key, the composed one keeps its key, or else the older one.
# The other keeps its data under a key that contains its id, because only people can decide whether
# both are the same.
COMPOSE = """
WITH spelled AS (
    SELECT id, normalize({column}, NFC) AS composed, row_number() OVER (
        PARTITION BY {within}normalize({column}, NFC) ORDER BY {column} IS NFC NORMALIZED DESC, id
    ) AS place
    FROM {table}
    WHERE normalize({column}, NFC) IN (
        SELECT normalize({column}, NFC) FROM {table} WHERE {column} IS NOT NFC NORMALIZED
    )
)
UPDATE {table} AS kept SET {column} = CASE WHEN spelled.place = 1 THEN spelled.composed
    ELSE left(spelled.composed, {room}) || ' (' || spelled.id || ')' END
FROM spelled
WHERE kept.id = spelled.id AND kept.{column} IS NOT NFC NORMALIZED
RETURNING kept.id, kept.{column}, spelled.place
"""
SOURCES = (
    "UPDATE activity_event SET source = normalize(source, NFC) WHERE source IS NOT NFC NORMALIZED"
)


def mend(apps, schema_editor):
    """Bring every row into the bounds, in a few statements that change only faulty rows."""
    with schema_editor.connection.cursor() as cursor:
        for places, first, last in ((INSTANTS, FIRST, LAST), (DAYS, FIRST_DAY, LAST_DAY)):
            for (table, column), rule in places.items():
                mended = rule.format(column, first=first, last=last)
                cursor.execute(
                    f"UPDATE {table} SET {column} = {mended} WHERE {column} < {first} OR {column} > {last}"
                )
        cursor.execute(COUNTS)
        for table in ("activity_learner", "activity_enrollment"):
            cursor.execute(TRAITS.format(table))
        for (table, column), within in KEYS.items():
            _compose(cursor, table, column, within)
        cursor.execute(SOURCES)


def _compose(cursor, table, column, within):
    room = 40 if table == "activity_verb" else 75
    cursor.execute(
        COMPOSE.format(
            table=table, column=column, room=room, within="".join(f"{each}, " for each in within)
        )
    )
    for pk, key, place in cursor.fetchall():
        if place > 1:
            log.warning("%s %s was spelled like another one and is now %r.", table, pk, key)


class Migration(migrations.Migration):
    dependencies = [("activity", "0008_late_events")]

    operations = [migrations.RunPython(mend, migrations.RunPython.noop)]
