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
        # No indexed column of the read models changes: with some room in the page an update
        # stays there and touches no index.
        migrations.RunSQL(
            "ALTER TABLE activity_dailyactivity SET (fillfactor = 90);"
            "ALTER TABLE activity_progress SET (fillfactor = 85)",
            "ALTER TABLE activity_dailyactivity RESET (fillfactor);"
            "ALTER TABLE activity_progress RESET (fillfactor)",
        ),
    ]
