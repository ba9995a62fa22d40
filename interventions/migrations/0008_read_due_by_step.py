"""An index of what is planned by step, built without holding up what is being sent."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("interventions", "0007_why_now")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "planned")),
                fields=["step", "send_at"],
                name="delivery_planned_of_step",
            ),
        ),
    ]
