"""An index of messages by instant, built without holding up what is being sent."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("interventions", "0015_plain_help_texts")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("claimed_at__isnull", False)),
                fields=["claimed_at"],
                name="delivery_by_instant",
            ),
        ),
    ]
