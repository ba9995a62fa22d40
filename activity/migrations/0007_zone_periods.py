"""One authority for local time: the periods of each zone, filled from the pinned tzdata."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("activity", "0006_mailboxes")]

    operations = [
        # Filled by `ensure_zones` after every migrate. No models: they are data of a library, and
        # what empties the tables of models must leave them.
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
        # Days were kept by the server's own rules until now. An edit, so that they are made again.
        migrations.RunSQL(
            "UPDATE activity_course SET edits = edits + 1 WHERE time_zone <> 'UTC'",
            migrations.RunSQL.noop,
        ),
    ]
