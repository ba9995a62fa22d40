"""Change only texts of the admin: help texts, names and labels."""

import django.core.validators
from django.db import migrations, models

import activity.fields
import activity.validators


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0018_find_by_words"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="pendingno",
            options={"verbose_name": "pending opt-out"},
        ),
        migrations.AlterField(
            model_name="course",
            name="clock_stopped_at",
            field=models.DateTimeField(
                blank=True,
                help_text="Only for simulated courses: the time for which every page shows the course.",
                null=True,
                validators=[activity.validators.validate_instant],
            ),
        ),
        migrations.AlterField(
            model_name="course",
            name="contact_email",
            field=activity.fields.MailAddressField(
                blank=True,
                help_text="The address for replies to messages, unless the section's teacher has one.",
                max_length=254,
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="course",
            name="ends_on",
            field=models.DateField(help_text="The last day that belongs to the course."),
        ),
        migrations.AlterField(
            model_name="course",
            name="grace_days",
            field=models.PositiveSmallIntegerField(
                default=2,
                help_text="The number of days after its due day until an activity counts as owed.",
                validators=[django.core.validators.MaxValueValidator(60)],
            ),
        ),
        migrations.AlterField(
            model_name="course",
            name="late_after_hours",
            field=models.PositiveIntegerField(
                default=48,
                help_text="An event that is received more than this many hours after it occurred counts as late: it can change segments, but it starts no messages.",
            ),
        ),
        migrations.AlterField(
            model_name="course",
            name="late_events_start",
            field=models.BooleanField(
                default=False,
                help_text="Tick this only if your platform always sends its events late.",
                verbose_name="late events start messages too",
            ),
        ),
        migrations.AlterField(
            model_name="course",
            name="live_since",
            field=models.DateTimeField(
                blank=True,
                help_text="While this is empty, segments are kept, but no learner is drawn or messaged. Set a time to go live.",
                null=True,
                validators=[activity.validators.validate_instant],
            ),
        ),
        migrations.AlterField(
            model_name="enrollment",
            name="traits",
            field=activity.fields.TraitsField(
                blank=True,
                default=dict,
                help_text="Facts that apply to this enrollment, such as earlier attempts. Rules use them before the learner's traits.",
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="corrected_at",
            field=models.DateTimeField(
                blank=True,
                help_text="The time at which a later grade or a correction by staff changed the event.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="sent_score",
            field=models.FloatField(
                blank=True,
                help_text="The score as it was sent, if it was outside 0 to 1.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="learner",
            name="given_name",
            field=models.CharField(
                blank=True,
                help_text="The name that messages use. The default is the first word of the name.",
                max_length=100,
            ),
        ),
        migrations.AlterField(
            model_name="learner",
            name="opted_out",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="The roster says that the learner wants no messages.",
            ),
        ),
        migrations.AlterField(
            model_name="learner",
            name="unusable_email",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="The address in a file, to which no mail can be sent.",
                max_length=254,
            ),
        ),
        migrations.AlterField(
            model_name="pendingno",
            name="kind",
            field=models.CharField(
                choices=[
                    ("opt_out", "wants no messages"),
                    ("complaint", "marked a message as spam"),
                    ("bounce", "the mailbox accepts no mail"),
                ],
                max_length=9,
            ),
        ),
        migrations.AlterField(
            model_name="rejectedevent",
            name="reason",
            field=models.CharField(
                choices=[
                    ("unknown_course", "Unknown Course"),
                    ("unknown_learner", "unknown learner or not enrolled in the course"),
                    ("unknown_item", "Unknown Item"),
                    ("unknown_verb", "Unknown Verb"),
                    ("bad_score", "score that is not a number"),
                    ("conflict", "repeat with other content: the stored event counts"),
                    ("bad_time", "time missing, unreadable or without offset"),
                    ("early", "up to five minutes ahead of now: stored automatically"),
                    ("future", "more than five minutes ahead of now"),
                    ("bad_field", "missing field, or field of the wrong type"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="section",
            name="teacher_email",
            field=activity.fields.MailAddressField(
                blank=True,
                help_text="The address for replies to this section's messages.",
                max_length=254,
                null=True,
            ),
        ),
    ]
