"""Seeds become unique. Of experiments that share one, the first started keeps it in its row.

A started experiment draws by the seed in its locked plan, which nothing here changes.
"""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import experiments.models


def tell_repeated_seeds_apart(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    experiment = apps.get_model("experiments", "Experiment")
    taken: set[str] = set()
    for row in experiment.objects.order_by("started_at", "pk"):
        if row.seed in taken or not row.seed:
            is_draft = row.status == "draft"
            note = f"repeats {row.seed[:60]} in experiment {row.pk}"
            row.seed = experiments.models.random_seed() if is_draft else note
            row.save(update_fields=["seed"])
        taken.add(row.seed)


class Migration(migrations.Migration):
    dependencies = [("experiments", "0002_sentences"), ("segmentation", "0003_index_who_left")]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="differs_outside",
            field=models.BooleanField(
                default=False,
                help_text="Tick it where the arms get something that no cadence sends, such as another version of a page. Else a cadence must message a treatment arm and ghost the control.",
                verbose_name="the arms differ outside Nudgelab",
            ),
        ),
        migrations.AlterField(
            model_name="experiment",
            name="seed",
            field=models.CharField(
                default=experiments.models.random_seed,
                help_text="Any text that no other experiment has: the same seed draws everybody alike.",
                max_length=100,
            ),
        ),
        migrations.RunPython(tell_repeated_seeds_apart, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.UniqueConstraint(
                fields=("seed",),
                name="experiment_seed_once",
                violation_error_message="Another experiment has this seed, and both would draw everybody alike: write another text.",
            ),
        ),
    ]
