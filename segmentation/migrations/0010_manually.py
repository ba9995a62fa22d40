"""The cause of a member that staff add or remove: manually."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("segmentation", "0009_norms_by_name"),
    ]

    operations = [
        migrations.AlterField(
            model_name="transition",
            name="cause",
            field=models.CharField(
                choices=[
                    ("event", "something the learner did"),
                    ("time", "time passed"),
                    ("manual", "manually"),
                    ("baseline", "first evaluation"),
                    ("edit", "a rule, item, course or trait was edited"),
                    ("course_over", "the course is over for the learner"),
                    ("late", "something the learner did, received long after"),
                ],
                max_length=11,
            ),
        ),
    ]
