from django.db import migrations, models

KINDS = ["protocol", "draws", "deviation", "snapshot", "state"]


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0013_analysis"),
    ]

    operations = [
        migrations.AddField(
            model_name="experiment",
            name="is_restored",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AlterField(
            model_name="ledgerentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("protocol", "the protocol, as it was locked"),
                    ("draws", "draws"),
                    ("deviation", "a change after the start"),
                    ("snapshot", "the numbers of a report"),
                    ("state", "coverage, end, winner or population, changed"),
                ],
                max_length=9,
            ),
        ),
        migrations.RemoveConstraint(model_name="ledgerentry", name="ledger_entry_kind_is_known"),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", KINDS)),
                name="ledger_entry_kind_is_known",
                violation_error_message=f"The kind of an entry is one of these: {', '.join(KINDS)}.",
            ),
        ),
    ]
