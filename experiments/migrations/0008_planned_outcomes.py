"""A report also counts the messages whose time has not come."""

from django.db import migrations, models

OUTCOMES = [
    "planned",
    "handed_off",
    "ghost",
    "dropped",
    "deferred",
    "expired",
    "failed",
    "in_doubt",
]


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0007_plain_help_texts"),
    ]

    operations = [
        migrations.AlterField(
            model_name="deliveryoutcome",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("planned", "planned: its time has not come"),
                    ("handed_off", "handed off"),
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
        migrations.RemoveConstraint(
            model_name="deliveryoutcome",
            name="delivery_outcome_is_known",
        ),
        migrations.AddConstraint(
            model_name="deliveryoutcome",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", OUTCOMES)),
                name="delivery_outcome_is_known",
                violation_error_message=(
                    f"The outcome must be one of these: {', '.join(OUTCOMES)}."
                ),
            ),
        ),
    ]
