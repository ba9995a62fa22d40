"""The reason of a message that waits for its learner's evaluation gets the name of that."""

from django.db import migrations

OLD, NEW = "unsettled", "evaluation_pending"


def renamed(old: str, new: str) -> list[str]:
    """Return the statements that rename the reason in all tables."""
    # As PostgreSQL writes jsonb: one space behind the colon.
    before, after = f'"reason": "{old}"', f'"reason": "{new}"'
    traces = f"replace(trace::text, '{before}', '{after}')::jsonb WHERE trace @> '[{{{before}}}]'"
    return [
        f"UPDATE interventions_delivery SET reason = '{new}' WHERE reason = '{old}'",  # noqa: S608
        f"UPDATE experiments_deliveryoutcome SET reason = '{new}' WHERE reason = '{old}'",  # noqa: S608
        f"UPDATE interventions_delivery SET trace = {traces}",  # noqa: S608
    ]


class Migration(migrations.Migration):
    dependencies = [
        ("interventions", "0012_channels_by_name"),
        ("experiments", "0004_delivery_outcomes"),
    ]

    operations = [
        migrations.RunSQL(renamed(OLD, NEW), reverse_sql=renamed(NEW, OLD)),
    ]
