"""Leave room in pages whose rows are updated often."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("activity", "0001_initial")]

    operations = [
        # Half of each page stays free, so that the new version of a pulled or pushed row fits on
        # the same page and the queue stays compact.
        migrations.RunSQL(
            "ALTER TABLE activity_due SET (fillfactor = 50)",
            "ALTER TABLE activity_due RESET (fillfactor)",
        ),
        # Ingest changes no indexed column of these tables. With some free space, the new version of
        # a row stays on its page, and no index is written.
        migrations.RunSQL(
            "ALTER TABLE activity_enrollment SET (fillfactor = 50);"
            "ALTER TABLE activity_dailyactivity SET (fillfactor = 80);"
            "ALTER TABLE activity_progress SET (fillfactor = 80)",
            "ALTER TABLE activity_enrollment RESET (fillfactor);"
            "ALTER TABLE activity_dailyactivity RESET (fillfactor);"
            "ALTER TABLE activity_progress RESET (fillfactor)",
        ),
    ]
