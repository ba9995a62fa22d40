"""An index that finds the first draw into an arm at once, in place of the one of arms alone."""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("experiments", "0008_planned_outcomes"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="assignment",
            index=models.Index(fields=["arm", "assigned_at"], name="assignment_by_arm"),
        ),
        migrations.AlterField(
            model_name="assignment",
            name="arm",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="assignments",
                to="experiments.arm",
            ),
        ),
    ]
