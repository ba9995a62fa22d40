"""Tracking events, receipts, and the id of a message at its provider."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0021_noes_of_providers"),
        ("interventions", "0027_once_for_all_courses"),
    ]

    operations = [
        migrations.CreateModel(
            name="Receipt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
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
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="TrackingEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("provider", models.CharField(max_length=30)),
                ("message_id", models.CharField(blank=True, default="", max_length=300)),
                ("delivery_key", models.UUIDField(blank=True, null=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("queued", "accepted by the provider"),
                            ("sent", "sent by the provider"),
                            ("rejected", "rejected by the provider"),
                            ("failed", "failed at the provider"),
                            ("deferred", "delayed by the receiver"),
                            ("delivered", "Delivered"),
                            ("bounced", "Bounced"),
                            ("complained", "marked as spam"),
                            ("unsubscribed", "Unsubscribed"),
                            ("opened", "Opened"),
                            ("clicked", "Clicked"),
                        ],
                        max_length=12,
                    ),
                ),
                ("happened_at", models.DateTimeField()),
                ("received_at", models.DateTimeField()),
                ("recipient", models.CharField(blank=True, default="", max_length=320)),
                ("link", models.CharField(blank=True, default="", max_length=2000)),
                ("user_agent", models.CharField(blank=True, default="", max_length=300)),
                ("detail", models.CharField(blank=True, default="", max_length=300)),
                (
                    "bounce",
                    models.CharField(
                        blank=True,
                        choices=[("hard", "for good"), ("soft", "for now")],
                        default="",
                        max_length=4,
                    ),
                ),
                ("reject_reason", models.CharField(blank=True, default="", max_length=20)),
                ("machine", models.BooleanField(default=False)),
                ("retry_at", models.DateTimeField(blank=True, null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
            ],
        ),
        migrations.AddField(
            model_name="category",
            name="track_clicks",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Links in these messages lead through this site, which notes the click. Only if the site tracks clicks.",
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="provider_id",
            field=models.CharField(blank=True, db_default="", default="", max_length=300),
        ),
        migrations.AddField(
            model_name="receipt",
            name="delivery",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="receipt",
                to="interventions.delivery",
            ),
        ),
        migrations.AddField(
            model_name="trackingevent",
            name="delivery",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="tracking_events",
                to="interventions.delivery",
            ),
        ),
        migrations.AddIndex(
            model_name="trackingevent",
            index=models.Index(
                condition=models.Q(("retry_at__isnull", False)),
                fields=["retry_at"],
                name="tracking_waiting",
            ),
        ),
        migrations.AddIndex(
            model_name="trackingevent",
            index=models.Index(
                condition=models.Q(("delivery__isnull", True)),
                fields=["id"],
                name="tracking_unmatched",
            ),
        ),
        migrations.AddConstraint(
            model_name="trackingevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "queued",
                            "sent",
                            "rejected",
                            "failed",
                            "deferred",
                            "delivered",
                            "bounced",
                            "complained",
                            "unsubscribed",
                            "opened",
                            "clicked",
                        ],
                    )
                ),
                name="tracking_kind_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="trackingevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("bounce", ""), ("bounce__in", ["hard", "soft"]), _connector="OR"
                ),
                name="tracking_bounce_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="trackingevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("delivery__isnull", False), ("retry_at__isnull", False), _connector="OR"
                ),
                name="tracking_without_a_message_waits",
            ),
        ),
    ]
