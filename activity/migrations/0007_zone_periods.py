"""Add the periods of each time zone, which are filled from the pinned tzdata."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("activity", "0006_mailboxes")]

    operations = [
        # Filled by `ensure_zones` after every migrate. The tables have no models, because they hold
        # data of a library, and code that empties the tables of models must not empty them.
        migrations.RunSQL(
            """
            CREATE TABLE activity_zoneperiod (
                zone text NOT NULL,
                from_at timestamptz NOT NULL,
                to_at timestamptz NOT NULL,
                utc_offset interval NOT NULL,
                CONSTRAINT zone_period_once PRIMARY KEY (zone, to_at) INCLUDE (from_at, utc_offset),
                CONSTRAINT zone_period_has_length CHECK (from_at < to_at),
                CONSTRAINT zone_offset_below_a_day
                    CHECK (utc_offset > interval '-1 day' AND utc_offset < interval '1 day')
            );
            CREATE TABLE activity_zonerelease (version text NOT NULL)
            """,
            "DROP TABLE activity_zoneperiod; DROP TABLE activity_zonerelease",
        ),
        # Earlier days used the server's own zone rules. An edit is counted to recompute them.
        migrations.RunSQL(
            "UPDATE activity_course SET edits = edits + 1 WHERE time_zone <> 'UTC'",
            migrations.RunSQL.noop,
        ),
    ]
