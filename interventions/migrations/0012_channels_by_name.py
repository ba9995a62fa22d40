"""The channels to choose from are asked of the code: a new one changes no table."""

from django.db import migrations, models

import interventions.models.messages


class Migration(migrations.Migration):
    dependencies = [
        ("interventions", "0011_waiting_runs"),
    ]

    operations = [
        migrations.AlterField(
            model_name="delivery",
            name="channel",
            field=models.CharField(
                choices=interventions.models.messages.channel_choices, max_length=10
            ),
        ),
        migrations.AlterField(
            model_name="frequencycap",
            name="channel",
            field=models.CharField(
                blank=True,
                choices=interventions.models.messages.channel_choices,
                default="",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="messagetemplate",
            name="channel",
            field=models.CharField(
                choices=interventions.models.messages.channel_choices,
                default="email",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="step",
            name="channel",
            field=models.CharField(
                choices=interventions.models.messages.channel_choices,
                default="email",
                max_length=10,
            ),
        ),
    ]
