"""An opt-out, complaint or bounce can come from the mail provider."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0020_may_export_lists"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="pendingno",
            name="no_source_is_known",
        ),
        migrations.AlterField(
            model_name="pendingno",
            name="source",
            field=models.CharField(
                choices=[
                    ("feed", "an event of the platform"),
                    ("roster", "the roster"),
                    ("import", "a list of known opt-outs"),
                    ("webhook", "the mail provider"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="pendingno",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["feed", "roster", "import", "webhook"])),
                name="no_source_is_known",
            ),
        ),
    ]
