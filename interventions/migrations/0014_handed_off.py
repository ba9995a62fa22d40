"""A message is handed off by any channel; a cadence is started manually."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0006_handed_off"),
        ("interventions", "0013_evaluation_pending"),
        ("segmentation", "0010_manually"),
    ]

    operations = [
        migrations.AlterField(
            model_name="cadence",
            name="trigger",
            field=models.CharField(
                choices=[
                    ("enter", "entering the segment"),
                    ("leave", "leaving the segment"),
                    ("manual", "started manually"),
                ],
                default="enter",
                max_length=6,
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="state",
            field=models.CharField(
                choices=[
                    ("planned", "Planned"),
                    ("claimed", "Claimed"),
                    ("handed_off", "handed off"),
                    ("delivered", "Delivered"),
                    ("bounced", "Bounced"),
                    ("complained", "marked as spam"),
                    ("in_doubt", "in doubt: may or may not have been accepted"),
                    ("ghost", "ghost: would have been sent"),
                    ("dropped", "Dropped"),
                    ("expired", "Expired"),
                    ("failed", "Failed"),
                ],
                default="planned",
                max_length=10,
            ),
        ),
        migrations.AlterConstraint(
            model_name="cadence",
            name="cadence_trigger_has_a_segment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("trigger", "manual"), ("segment__isnull", False), _connector="OR"
                ),
                name="cadence_trigger_has_a_segment",
                violation_error_code="segment",
                violation_error_message="Choose the segment that starts the cadence, or set the trigger to “started manually”.",
            ),
        ),
    ]
