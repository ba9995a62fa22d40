"""The document that an experiment locks at its start is its protocol: to plan is the stage's word."""

from django.db import migrations, models
from django.db.models import Q

OLD, NEW = "experiment_started_has_a_plan", "experiment_started_has_a_protocol"


class Migration(migrations.Migration):
    dependencies = [("experiments", "0004_delivery_outcomes")]

    operations = [
        migrations.RemoveConstraint("experiment", OLD),
        migrations.RenameField("experiment", "plan", "protocol"),
        migrations.RenameField("experiment", "plan_sha256", "protocol_sha256"),
        migrations.AddConstraint(
            "experiment",
            models.CheckConstraint(
                condition=Q(status="draft") | (Q(started_at__isnull=False) & ~Q(protocol="")),
                name=NEW,
                violation_error_message="Start it by its action: that locks the protocol.",
            ),
        ),
    ]
