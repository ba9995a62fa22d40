"""Keep addresses with their domain in ASCII, so that lower(email) is the mailbox."""

import django.db.models.functions.text
from django.db import migrations, models

import activity.fields
from common.addresses import deliverable

ASCII = r"^[\x01-\x7f]+$"


def write_domains_in_ascii(apps, schema_editor):
    """Rewrite the few addresses that need it. Remove an address that no mail can reach."""
    learners = apps.get_model("activity", "Learner").objects
    beyond = learners.exclude(email__isnull=True).exclude(email__regex=ASCII)
    for pk, email in list(beyond.values_list("pk", "email")):
        written = deliverable(email)
        reachable = written and written.isascii()
        learners.filter(pk=pk).update(email=written if reachable else None)


class Migration(migrations.Migration):
    dependencies = [("activity", "0005_traits_of_enrollments")]

    operations = [
        migrations.AlterField(
            model_name="learner",
            name="email",
            field=activity.fields.MailAddressField(blank=True, max_length=254, null=True),
        ),
        migrations.RunPython(write_domains_in_ascii, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="learner",
            index=models.Index(
                django.db.models.functions.text.Lower("email"), name="learner_by_mailbox"
            ),
        ),
        migrations.AddConstraint(
            model_name="learner",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("email__isnull", True), ("email__regex", ASCII), _connector="OR"
                ),
                name="learner_email_is_ascii",
                violation_error_message="No mail can be sent to this address.",
            ),
        ),
    ]
