from django.db import migrations, models


def begin(apps, editor):
    """Give each course that is held now an open row. When it was noticed is not known any more."""
    courses = apps.get_model("activity", "Course").objects.exclude(feed_held_since=None)
    hold = apps.get_model("activity", "FeedHold")
    hold.objects.bulk_create(
        hold(course_id=pk, since=since, noted_at=since)
        for pk, since in courses.values_list("pk", "feed_held_since")
    )


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0023_feeds"),
    ]

    operations = [
        migrations.CreateModel(
            name="FeedHold",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("since", models.DateTimeField()),
                ("noted_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "course",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=models.deletion.CASCADE,
                        related_name="feed_holds",
                        to="activity.course",
                    ),
                ),
            ],
            options={
                "verbose_name": "hold of a feed",
                "verbose_name_plural": "holds of feeds",
                "indexes": [
                    models.Index(fields=["course", "noted_at"], name="feed_hold_by_course")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("course",),
                        name="feed_hold_open_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ended_at__isnull", True),
                            ("ended_at__gte", models.F("noted_at")),
                            _connector="OR",
                        ),
                        name="feed_hold_ends_after_it_began",
                    ),
                ],
            },
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]
