"""Give messages that were planned before this release the outcome that new ones get."""

from django.db import migrations

ADD = """
INSERT INTO experiments_deliveryoutcome (assignment_id, delivery_key, outcome, reason, at)
SELECT run.assignment_id, delivery.key, 'planned', '', LEAST(delivery.planned_at, now())
FROM interventions_delivery AS delivery
JOIN interventions_run AS run ON run.id = delivery.run_id
WHERE delivery.state = 'planned' AND run.assignment_id IS NOT NULL
ON CONFLICT (delivery_key) DO NOTHING
"""
REMOVE = "DELETE FROM experiments_deliveryoutcome WHERE outcome = 'planned'"


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0008_planned_outcomes"),
        ("interventions", "0018_nudges"),
    ]

    operations = [migrations.RunSQL(ADD, REMOVE)]
