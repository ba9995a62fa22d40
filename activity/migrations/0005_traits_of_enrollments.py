"""Give enrollments traits of their own."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("activity", "0004_right_to_send")]

    operations = [
        migrations.AddField(
            model_name="enrollment",
            name="traits",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="What holds for this enrollment, such as earlier attempts. A rule reads"
                " it before the learner's.",
            ),
        ),
    ]
