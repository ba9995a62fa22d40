"""Give a course the days of grace after which an activity is owed."""

from django.core.validators import MaxValueValidator
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("activity", "0014_instants_are_checked_in_forms")]

    operations = [
        migrations.AddField(
            model_name="course",
            name="grace_days",
            field=models.PositiveSmallIntegerField(
                default=2,
                validators=[MaxValueValidator(60)],
                help_text="How many days after its due day an activity counts as owed.",
            ),
        ),
        migrations.AddConstraint(
            model_name="course",
            constraint=models.CheckConstraint(
                condition=models.Q(("grace_days__lte", 60)),
                name="course_grace_is_short",
                violation_error_message="The grace is at most 60 days.",
            ),
        ),
    ]
