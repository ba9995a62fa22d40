"""Make the archive of old messages, partitioned by month."""

import django.db.models.deletion
from django.db import migrations, models

import interventions.models.messages

# Django cannot make a partitioned table. The keys of enrollments delete by themselves, so that no
# erased learner stays in the archive.
TABLES = """
CREATE TABLE interventions_archiveddelivery (
    id bigint NOT NULL,
    key uuid NOT NULL,
    run_id bigint NOT NULL,
    step_id bigint NOT NULL,
    learner_id bigint NOT NULL,
    enrollment_id bigint NOT NULL REFERENCES activity_enrollment (id) ON DELETE CASCADE,
    category_id bigint NOT NULL,
    channel varchar(10) NOT NULL,
    priority integer NOT NULL,
    ghost boolean NOT NULL,
    state varchar(10) NOT NULL,
    reason varchar(100) NOT NULL,
    planned_at timestamptz NOT NULL,
    send_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    claimed_at timestamptz,
    finished_at timestamptz NOT NULL,
    attempts smallint NOT NULL,
    doubted boolean NOT NULL,
    template_text_id bigint,
    delivered_at timestamptz,
    soft_bounced_at timestamptz,
    hard_bounced_at timestamptz,
    rejected_at timestamptz,
    complained_at timestamptz,
    unsubscribed_at timestamptz,
    opened_at timestamptz,
    clicked_at timestamptz,
    machine_opened_at timestamptz,
    machine_clicked_at timestamptz,
    PRIMARY KEY (id, finished_at)
) PARTITION BY RANGE (finished_at);
CREATE INDEX archived_delivery_at ON interventions_archiveddelivery (finished_at, id);
CREATE INDEX archived_delivery_enrollment ON interventions_archiveddelivery (enrollment_id);
CREATE INDEX archived_delivery_step ON interventions_archiveddelivery (step_id);
CREATE INDEX archived_delivery_text ON interventions_archiveddelivery (template_text_id);

CREATE TABLE interventions_archivedtrace (
    delivery_id bigint NOT NULL,
    enrollment_id bigint NOT NULL REFERENCES activity_enrollment (id) ON DELETE CASCADE,
    finished_at timestamptz NOT NULL,
    trace jsonb NOT NULL,
    address varchar(320) NOT NULL,
    message_id varchar(200) NOT NULL,
    provider_id varchar(300) NOT NULL,
    sent jsonb,
    reports jsonb,
    task jsonb,
    in_app jsonb,
    PRIMARY KEY (delivery_id, finished_at)
) PARTITION BY RANGE (finished_at);
CREATE INDEX archived_trace_enrollment ON interventions_archivedtrace (enrollment_id);
"""
DROP = "DROP TABLE interventions_archivedtrace, interventions_archiveddelivery"


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0023_feeds"),
        ("interventions", "0032_help_of_categories"),
        ("segmentation", "0013_archive"),
    ]

    operations = [
        migrations.AlterField(
            model_name="run",
            name="transition",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="runs",
                to="segmentation.transition",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(TABLES, DROP)],
            state_operations=[
                migrations.CreateModel(
                    name="ArchivedDelivery",
                    fields=[
                        ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                        ("key", models.UUIDField()),
                        (
                            "channel",
                            models.CharField(
                                choices=interventions.models.messages.channel_choices, max_length=10
                            ),
                        ),
                        ("priority", models.PositiveIntegerField()),
                        ("ghost", models.BooleanField()),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("planned", "Planned"),
                                    ("claimed", "Claimed"),
                                    ("handed_off", "handed off"),
                                    ("delivered", "Delivered"),
                                    ("bounced", "Bounced"),
                                    ("complained", "marked as spam"),
                                    ("in_doubt", "in doubt: may or may not have been accepted"),
                                    ("ghost", "ghost: would have been sent"),
                                    ("dropped", "Dropped"),
                                    ("expired", "Expired"),
                                    ("failed", "Failed"),
                                ],
                                max_length=10,
                            ),
                        ),
                        ("reason", models.CharField(blank=True, default="", max_length=100)),
                        ("planned_at", models.DateTimeField()),
                        ("send_at", models.DateTimeField()),
                        ("expires_at", models.DateTimeField()),
                        ("claimed_at", models.DateTimeField(blank=True, null=True)),
                        ("finished_at", models.DateTimeField()),
                        ("attempts", models.PositiveSmallIntegerField()),
                        ("doubted", models.BooleanField()),
                        ("delivered_at", models.DateTimeField(blank=True, null=True)),
                        ("soft_bounced_at", models.DateTimeField(blank=True, null=True)),
                        ("hard_bounced_at", models.DateTimeField(blank=True, null=True)),
                        ("rejected_at", models.DateTimeField(blank=True, null=True)),
                        ("complained_at", models.DateTimeField(blank=True, null=True)),
                        ("unsubscribed_at", models.DateTimeField(blank=True, null=True)),
                        ("opened_at", models.DateTimeField(blank=True, null=True)),
                        ("clicked_at", models.DateTimeField(blank=True, null=True)),
                        ("machine_opened_at", models.DateTimeField(blank=True, null=True)),
                        ("machine_clicked_at", models.DateTimeField(blank=True, null=True)),
                        (
                            "category",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="interventions.category",
                            ),
                        ),
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
                            "learner",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="activity.learner",
                            ),
                        ),
                        (
                            "run",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="interventions.run",
                            ),
                        ),
                        (
                            "step",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="interventions.step",
                            ),
                        ),
                        (
                            "template_text",
                            models.ForeignKey(
                                blank=True,
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="interventions.templatetext",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name_plural": "archived deliveries",
                    },
                ),
                migrations.CreateModel(
                    name="ArchivedTrace",
                    fields=[
                        (
                            "delivery",
                            models.OneToOneField(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                primary_key=True,
                                related_name="traced",
                                serialize=False,
                                to="interventions.archiveddelivery",
                            ),
                        ),
                        ("finished_at", models.DateTimeField()),
                        ("trace", models.JSONField(default=list)),
                        ("address", models.CharField(blank=True, default="", max_length=320)),
                        ("message_id", models.CharField(blank=True, default="", max_length=200)),
                        ("provider_id", models.CharField(blank=True, default="", max_length=300)),
                        ("sent", models.JSONField(blank=True, null=True)),
                        ("reports", models.JSONField(blank=True, null=True)),
                        ("task", models.JSONField(blank=True, null=True)),
                        ("in_app", models.JSONField(blank=True, null=True)),
                        (
                            "enrollment",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="activity.enrollment",
                            ),
                        ),
                    ],
                ),
                migrations.AddIndex(
                    model_name="archiveddelivery",
                    index=models.Index(fields=["finished_at", "id"], name="archived_delivery_at"),
                ),
                migrations.AddIndex(
                    model_name="archiveddelivery",
                    index=models.Index(fields=["enrollment"], name="archived_delivery_enrollment"),
                ),
                migrations.AddIndex(
                    model_name="archiveddelivery",
                    index=models.Index(fields=["step"], name="archived_delivery_step"),
                ),
                migrations.AddIndex(
                    model_name="archiveddelivery",
                    index=models.Index(fields=["template_text"], name="archived_delivery_text"),
                ),
                migrations.AddIndex(
                    model_name="archivedtrace",
                    index=models.Index(fields=["enrollment"], name="archived_trace_enrollment"),
                ),
            ],
        ),
    ]
