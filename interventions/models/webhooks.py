"""Webhook endpoints: where messages go as signed JSON, for a course or for the whole site."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import Course, shared_unless
from interventions.models.field_checks import check
from interventions.models.secrets import SharedSecret

MAX_URL = 500


class WebhookEndpoint(SharedSecret):
    """One endpoint. A course without an endpoint of its own uses the site's.

    While the old secret is valid, each message has a signature by either secret. `down_until` is
    set while the receiver fails or asks to be left alone: no message goes there before it.
    """

    course_scope = shared_unless("course")

    course = models.ForeignKey(
        Course,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="webhook_endpoints",
        help_text="Leave it empty for all courses without an endpoint of their own.",
    )
    url = models.CharField(max_length=MAX_URL, verbose_name="address")
    active = models.BooleanField(default=True)
    failures = models.PositiveSmallIntegerField(default=0, editable=False)
    down_until = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, default="", editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("course_id", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("course",),
                nulls_distinct=False,
                name="webhook_endpoint_once_a_course",
                violation_error_message="There is an endpoint for it already. Change that one.",
            ),
            check(
                "webhook_endpoint_disabled_is_not_active",
                Q(disabled_at__isnull=True) | Q(active=False),
                at="active",
                sentence="The receiver has refused this endpoint for good.",
            ),
        ]

    def __str__(self) -> str:
        return self.named("webhook endpoint")
