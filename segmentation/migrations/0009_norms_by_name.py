"""Store the norms of a day in one column by name, so that a new norm needs no new column."""

from django.db import migrations, models

# Stored norms are kept, because evaluations used them and a renewal compares with them.
GATHER = """
UPDATE segmentation_norms SET figures = jsonb_build_object(
    'module_medians', module_medians, 'paces', paces, 'completed_items', completed_items
)
"""
PART = """
UPDATE segmentation_norms SET module_medians = figures -> 'module_medians',
    paces = figures -> 'paces', completed_items = figures -> 'completed_items'
"""


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0008_signals_by_identity")]

    operations = [
        migrations.AddField(
            model_name="norms",
            name="figures",
            field=models.JSONField(default=dict),
            preserve_default=False,
        ),
        migrations.RunSQL(GATHER, PART),
        migrations.RemoveField(model_name="norms", name="module_medians"),
        migrations.RemoveField(model_name="norms", name="paces"),
        migrations.RemoveField(model_name="norms", name="completed_items"),
    ]
