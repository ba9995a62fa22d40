"""Make the archive of old entries and leavings, partitioned by month."""

import django.db.models.deletion
from django.db import migrations, models

# Django cannot make a partitioned table. The key of the enrollment deletes by itself, so that no
# erased learner stays in the archive.
TABLE = """
CREATE TABLE segmentation_archivedtransition (
    id bigint NOT NULL,
    enrollment_id bigint NOT NULL REFERENCES activity_enrollment (id) ON DELETE CASCADE,
    segment_id bigint NOT NULL,
    kind varchar(5) NOT NULL,
    cause varchar(11) NOT NULL,
    starts boolean NOT NULL,
    version integer NOT NULL,
    occurred_at timestamptz NOT NULL,
    processed_at timestamptz NOT NULL,
    PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX archived_transition_at ON segmentation_archivedtransition (occurred_at);
CREATE INDEX archived_transition_of ON segmentation_archivedtransition (enrollment_id, id);
CREATE INDEX archived_transition_segment ON segmentation_archivedtransition (segment_id);
"""
DROP = "DROP TABLE segmentation_archivedtransition"


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0023_feeds"),
        ("segmentation", "0012_evaluation_days"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(TABLE, DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="ArchivedTransition",
                    fields=[
                        ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                        (
                            "kind",
                            models.CharField(
                                choices=[("enter", "entered"), ("leave", "left")], max_length=5
                            ),
                        ),
                        (
                            "cause",
                            models.CharField(
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
                        ("starts", models.BooleanField()),
                        ("version", models.PositiveIntegerField()),
                        ("occurred_at", models.DateTimeField()),
                        ("processed_at", models.DateTimeField()),
                        (
                            "enrollment",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="activity.enrollment",
                            ),
                        ),
                        (
                            "segment",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="segmentation.segment",
                            ),
                        ),
                    ],
                    options={
                        "indexes": [
                            models.Index(fields=["occurred_at"], name="archived_transition_at"),
                            models.Index(
                                fields=["enrollment", "id"], name="archived_transition_of"
                            ),
                            models.Index(fields=["segment"], name="archived_transition_segment"),
                        ],
                    },
                ),
            ],
        ),
    ]
