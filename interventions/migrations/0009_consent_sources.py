"""Keep by which way each word of consent came."""

from django.db import migrations, models

# Statements written by the demo, and all others without a known source.
MEND = """
UPDATE interventions_consent SET source = 'import'
WHERE source NOT IN
    ('page', 'one_click', 'preferences', 'feed', 'roster', 'import', 'staff', 'webhook')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0016_noes"),
        ("interventions", "0008_read_due_by_step"),
    ]

    operations = [
        migrations.RunSQL(MEND, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="consent",
            name="source",
            field=models.CharField(
                choices=[
                    ("page", "the unsubscribe page"),
                    ("one_click", "the mail program, in one click"),
                    ("preferences", "the preference page"),
                    ("feed", "an event of the platform"),
                    ("roster", "the roster"),
                    ("import", "a list of known opt-outs"),
                    ("staff", "staff, for the learner"),
                    ("webhook", "the mail provider"),
                ],
                max_length=50,
            ),
        ),
        migrations.AddConstraint(
            model_name="consent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "source__in",
                        [
                            "page",
                            "one_click",
                            "preferences",
                            "feed",
                            "roster",
                            "import",
                            "staff",
                            "webhook",
                        ],
                    )
                ),
                name="consent_source_is_known",
            ),
        ),
    ]
