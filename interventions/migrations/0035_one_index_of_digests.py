"""One index of the digests of tracking events in place of two, built while events come in."""

from django.db import migrations, models

_ONCE = "ALTER TABLE interventions_trackingevent {}"


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("interventions", "0034_indexes_in_use")]

    operations = [
        migrations.RunSQL(
            "CREATE UNIQUE INDEX CONCURRENTLY tracking_digest_once "
            "ON interventions_trackingevent (digest)",
            migrations.RunSQL.noop,
        ),
        migrations.SeparateDatabaseAndState(
            [
                migrations.RunSQL(
                    _ONCE.format(
                        "ADD CONSTRAINT tracking_digest_once UNIQUE USING INDEX "
                        "tracking_digest_once"
                    ),
                    _ONCE.format("DROP CONSTRAINT tracking_digest_once"),
                )
            ],
            [
                migrations.AddConstraint(
                    model_name="trackingevent",
                    constraint=models.UniqueConstraint(
                        fields=("digest",), name="tracking_digest_once"
                    ),
                )
            ],
        ),
        migrations.AlterField(
            model_name="trackingevent",
            name="digest",
            field=models.CharField(editable=False, max_length=64),
        ),
    ]
