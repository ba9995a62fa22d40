"""A message is handed off by any channel, and not to a mail server alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0005_protocol"),
    ]

    operations = [
        migrations.AlterField(
            model_name="deliveryoutcome",
            name="outcome",
            field=models.CharField(
                choices=[
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
    ]
