"""Consent and caps hold for a mailbox and all its learners."""

import django.db.models.functions.text
from django.db import migrations, models

import interventions.models.limits


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0006_mailboxes"),
        ("interventions", "0003_guards"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="consent",
            name="consent_once",
        ),
        migrations.AddField(
            model_name="consent",
            name="mailbox",
            field=models.CharField(blank=True, default="", max_length=320),
        ),
        migrations.RunSQL(
            "UPDATE interventions_consent AS consent SET mailbox = lower(learner.email)"
            " FROM activity_learner AS learner"
            " WHERE learner.id = consent.learner_id AND learner.email IS NOT NULL",
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(
            model_name="consent",
            name="learner",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=interventions.models.limits.keep_of_mailbox,
                related_name="consents",
                to="activity.learner",
            ),
        ),
        migrations.AddIndex(
            model_name="consent",
            index=models.Index(
                condition=models.Q(("mailbox", ""), _negated=True),
                fields=["mailbox"],
                name="consent_by_mailbox",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                django.db.models.functions.text.Lower("address"),
                models.F("claimed_at"),
                condition=models.Q(("claimed_at__isnull", False)),
                name="delivery_counted_by_mailbox",
            ),
        ),
        migrations.AddConstraint(
            model_name="consent",
            constraint=models.UniqueConstraint(
                condition=models.Q(("learner__isnull", False)),
                fields=("learner", "mailbox", "category"),
                name="consent_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="consent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("learner__isnull", False),
                    models.Q(("mailbox", ""), _negated=True),
                    _connector="OR",
                ),
                name="consent_is_of_somebody",
            ),
        ),
    ]
