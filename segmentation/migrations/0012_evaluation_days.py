"""Note by day what evaluations took, and the times in which segments were frozen."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0020_may_export_lists"),
        ("segmentation", "0011_plain_texts"),
    ]

    operations = [
        migrations.CreateModel(
            name="EvaluationDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("batches", models.PositiveIntegerField(default=0)),
                (
                    "evaluated",
                    models.PositiveBigIntegerField(default=0, help_text="Enrollments, each time."),
                ),
                ("entered", models.PositiveBigIntegerField(default=0)),
                ("left", models.PositiveBigIntegerField(default=0)),
                (
                    "failed",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="Evaluations of one enrollment that failed and were delayed.",
                    ),
                ),
                ("seconds", models.FloatField(default=0)),
                (
                    "slowest_seconds",
                    models.FloatField(default=0, help_text="Of the slowest batch."),
                ),
                ("last_at", models.DateTimeField()),
                (
                    "error",
                    models.TextField(blank=True, default="", help_text="Of the last failure."),
                ),
                (
                    "course",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="evaluation_days",
                        to="activity.course",
                    ),
                ),
            ],
            options={
                "ordering": ("course_id", "-day"),
                "constraints": [
                    models.UniqueConstraint(fields=("course", "day"), name="evaluation_day_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Freeze",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "version",
                    models.PositiveIntegerField(help_text="The version of the rules that failed."),
                ),
                ("error", models.TextField()),
                ("frozen_at", models.DateTimeField()),
                ("thawed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "segment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="freezes",
                        to="segmentation.segment",
                    ),
                ),
            ],
            options={
                "ordering": ("segment_id", "-frozen_at", "-pk"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("thawed_at__isnull", True)),
                        fields=("segment",),
                        name="freeze_one_open",
                    )
                ],
            },
        ),
    ]
