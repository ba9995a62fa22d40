"""A message that was in doubt and was not sent again is in doubt, in the ledger and in exposures."""

from django.db import migrations, models

# In doubt for good: it has an end, so that nothing plans it again.
LEDGER = """
UPDATE interventions_delivery SET state = 'in_doubt'
WHERE doubted AND state IN ('dropped', 'expired', 'failed')
"""
EXPOSURES = """
UPDATE experiments_exposure AS exposure SET outcome = 'in_doubt'
FROM interventions_delivery AS delivery
WHERE delivery.key = exposure.delivery_key AND delivery.doubted
    AND delivery.state IN ('planned', 'in_doubt')
    AND exposure.outcome IN ('deferred', 'dropped', 'expired', 'failed')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0001_initial"),
        ("interventions", "0005_pauses"),
    ]

    # The statement below names the table as it is called until then.
    run_before = [("experiments", "0004_delivery_outcomes")]

    operations = [
        migrations.RunSQL(LEDGER, migrations.RunSQL.noop),
        migrations.RunSQL(EXPOSURES, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("doubted", True),
                    ("state__in", ("dropped", "expired", "failed")),
                    _negated=True,
                ),
                name="delivery_doubted_is_never_unsent",
            ),
        ),
    ]
