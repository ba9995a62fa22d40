"""Rename the outcome of a delivery, because exposure has another meaning in the field."""

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

OUTCOMES = ["handed_off", "ghost", "dropped", "deferred", "expired", "failed", "in_doubt"]
RENAME = "ALTER TABLE experiments_deliveryoutcome RENAME CONSTRAINT {0} TO {1}"
OLD, NEW = "exposure_outcome_is_known", "delivery_outcome_is_known"


def rename_rights(old: str, new: str):
    # A renamed model keeps the rights of its old name, and gets new ones that nobody has.
    def rename(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        rights = apps.get_model("auth", "Permission").objects
        for right in rights.filter(content_type__app_label="experiments"):
            verb, _, model = right.codename.partition("_")
            if model == old.replace(" ", ""):
                right.codename = f"{verb}_{new.replace(' ', '')}"
                right.name = f"Can {verb} {new}"
                right.save(update_fields=["codename", "name"])

    return rename


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("experiments", "0003_seed_once_and_arms_outside"),
    ]

    operations = [
        migrations.AlterField(
            model_name="exposure",
            name="assignment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="delivery_outcomes",
                to="experiments.assignment",
            ),
        ),
        migrations.RenameModel("Exposure", "DeliveryOutcome"),
        migrations.RunPython(
            rename_rights("exposure", "delivery outcome"),
            rename_rights("delivery outcome", "exposure"),
        ),
        migrations.AlterField(
            model_name="deliveryoutcome",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("handed_off", "handed to the mail server"),
                    ("ghost", "would have been sent (control)"),
                    ("dropped", "dropped"),
                    ("deferred", "deferred"),
                    ("expired", "expired"),
                    ("failed", "failed"),
                    ("in_doubt", "in doubt"),
                ],
                max_length=10,
            ),
        ),
        # By its name alone: made anew, it would be checked against every row under a lock.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(RENAME.format(OLD, NEW), RENAME.format(NEW, OLD))
            ],
            state_operations=[
                migrations.RemoveConstraint("deliveryoutcome", OLD),
                migrations.AddConstraint(
                    "deliveryoutcome",
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", OUTCOMES)),
                        name=NEW,
                        violation_error_message="The outcome is one of these: handed_off, ghost, dropped, deferred, expired, failed, in_doubt.",
                    ),
                ),
            ],
        ),
    ]
