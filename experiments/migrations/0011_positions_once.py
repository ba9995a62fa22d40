"""Each position of a stratum is drawn once, and the draws that the ledger lacks are found at once."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("experiments", "0010_design_and_ledger"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="assignment",
            index=models.Index(
                condition=models.Q(("entry__isnull", True)),
                fields=["experiment", "id"],
                name="assignment_unsealed",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "CREATE UNIQUE INDEX CONCURRENTLY assignment_position_once "
                    "ON experiments_assignment (stratum_id, position) "
                    "WHERE stratum_id IS NOT NULL",
                    "DROP INDEX assignment_position_once",
                ),
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="assignment",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("stratum__isnull", False)),
                        fields=("stratum", "position"),
                        name="assignment_position_once",
                        violation_error_message="Another enrollment has this position in the "
                        "stratum.",
                    ),
                ),
            ],
        ),
    ]
