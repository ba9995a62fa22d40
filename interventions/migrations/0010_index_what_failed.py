"""An index of what failed, built without holding up what is being sent."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("interventions", "0009_consent_sources")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("state", "failed")),
                fields=["finished_at"],
                name="delivery_failed",
            ),
        ),
    ]
