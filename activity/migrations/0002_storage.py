"""Leave room in pages whose rows are updated often."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("activity", "0001_initial")]

    operations = [
        # Half of each page stays free, so that a pulled or pushed row finds room beside its old
        # version instead of scattering the queue over the table.
        migrations.RunSQL(
            "ALTER TABLE activity_due SET (fillfactor = 50)",
            "ALTER TABLE activity_due RESET (fillfactor)",
        ),
        # Ingest changes no indexed column of these: with some room in the page the new version of
        # a row stays there, and none of the table's indexes is written.
        migrations.RunSQL(
            "ALTER TABLE activity_enrollment SET (fillfactor = 50);"
            "ALTER TABLE activity_dailyactivity SET (fillfactor = 80);"
            "ALTER TABLE activity_progress SET (fillfactor = 80)",
            "ALTER TABLE activity_enrollment RESET (fillfactor);"
            "ALTER TABLE activity_dailyactivity RESET (fillfactor);"
            "ALTER TABLE activity_progress RESET (fillfactor)",
        ),
    ]
