"""Change only texts of the admin: help texts, names and labels."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("segmentation", "0010_manually"),
    ]

    operations = [
        migrations.AlterField(
            model_name="membership",
            name="signals",
            field=models.JSONField(default=dict, help_text="The rule's signals at entry."),
        ),
        migrations.AlterField(
            model_name="membership",
            name="version",
            field=models.PositiveIntegerField(
                help_text="The version of the segment's rules at entry."
            ),
        ),
        migrations.AlterField(
            model_name="playbook",
            name="mode",
            field=models.CharField(
                choices=[
                    ("overlapping", "a learner may be in several segments"),
                    (
                        "exclusive",
                        "a learner is only in the first segment that matches, by priority",
                    ),
                ],
                default="overlapping",
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="segment",
            name="include_present",
            field=models.BooleanField(
                default=False,
                help_text="Start cadences and draws also for learners who are in the segment at the activation or edit.",
                verbose_name="also those already in",
            ),
        ),
        migrations.AlterField(
            model_name="segment",
            name="leave_rule",
            field=models.JSONField(
                blank=True,
                help_text="If this is empty, a member leaves when the rule is no longer true. Otherwise a member stays until this rule is true.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="segment",
            name="priority",
            field=models.PositiveIntegerField(
                default=100,
                help_text="In an exclusive playbook, the segment with the lower number comes first.",
            ),
        ),
        migrations.AlterField(
            model_name="surge",
            name="of",
            field=models.PositiveIntegerField(
                default=0, help_text="The enrollments in scope when the entries were counted."
            ),
        ),
    ]
