"""The indexes of messages that queries need, built without holding up what is being sent."""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("interventions", "0033_archive")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(fields=["learner", "claimed_at"], name="delivery_of_learner"),
        ),
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("reason", ""), _negated=True),
                fields=["reason", "id"],
                name="delivery_by_reason",
            ),
        ),
        # Not before the index that takes its place is there.
        RemoveIndexConcurrently(model_name="delivery", name="delivery_counted"),
        RemoveIndexConcurrently(model_name="delivery", name="delivery_due"),
        migrations.AlterField(
            model_name="delivery",
            name="category",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="interventions.category",
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="template_text",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="interventions.templatetext",
            ),
        ),
        # A receipt gets an instant days after it was made, a message on a course site is seen
        # later. Neither is in an index, so with room on its page the row stays there (HOT).
        migrations.RunSQL(
            "ALTER TABLE interventions_receipt SET (fillfactor = 85)",
            "ALTER TABLE interventions_receipt RESET (fillfactor)",
        ),
        migrations.RunSQL(
            "ALTER TABLE interventions_inappmessage SET (fillfactor = 90)",
            "ALTER TABLE interventions_inappmessage RESET (fillfactor)",
        ),
    ]
