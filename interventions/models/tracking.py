"""What providers and our own links say about sent messages."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import CourseScoped, through
from interventions.models.ledger import Delivery
from interventions.policy.consent import NOT_SPAM


class TrackingKind(models.TextChoices):
    QUEUED = "queued", "accepted by the provider"
    SENT = "sent", "sent by the provider"
    REJECTED = "rejected", "rejected by the provider"
    FAILED = "failed", "failed at the provider"
    DEFERRED = "deferred", "delayed by the receiver"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained", "marked as spam"
    UNSUBSCRIBED = "unsubscribed"
    OPENED = "opened"
    CLICKED = "clicked"


class BounceKind(models.TextChoices):
    HARD = "hard", "for good"
    SOFT = "soft", "for now"


class TrackingEvent(CourseScoped):
    """One thing that a provider or one of our links said about a message. Stored once.

    It waits until `retry_at`: an open or a click for some seconds, until others show whether a
    machine made it, and an event of an unknown message until the message is known. Without
    `retry_at` it has acted.
    """

    course_scope = through("delivery__enrollment__course")

    # Of provider, message, kind, instant, recipient and link: few providers number their events.
    digest = models.CharField(max_length=64, editable=False)
    provider = models.CharField(max_length=30)
    message_id = models.CharField(max_length=300, blank=True, default="")
    # The key of the delivery, if the provider returned what we sent along with the message.
    delivery_key = models.UUIDField(null=True, blank=True)
    delivery = models.ForeignKey(
        Delivery, null=True, blank=True, on_delete=models.CASCADE, related_name="tracking_events"
    )
    kind = models.CharField(max_length=12, choices=TrackingKind.choices)
    happened_at = models.DateTimeField()
    received_at = models.DateTimeField()
    recipient = models.CharField(max_length=320, blank=True, default="")
    link = models.CharField(max_length=2000, blank=True, default="")
    user_agent = models.CharField(max_length=300, blank=True, default="")
    detail = models.CharField(max_length=300, blank=True, default="")
    bounce = models.CharField(max_length=4, choices=BounceKind.choices, blank=True, default="")
    reject_reason = models.CharField(max_length=20, blank=True, default="")
    # True: a program opened or clicked, such as the scanner of a mail server.
    machine = models.BooleanField(default=False)
    retry_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            # With unique=True, Django adds a second index of the same size for LIKE.
            models.UniqueConstraint(fields=("digest",), name="tracking_digest_once"),
            models.CheckConstraint(
                condition=Q(kind__in=TrackingKind.values), name="tracking_kind_is_known"
            ),
            models.CheckConstraint(
                condition=Q(bounce="") | Q(bounce__in=BounceKind.values),
                name="tracking_bounce_is_known",
            ),
            models.CheckConstraint(
                condition=Q(delivery__isnull=False) | Q(retry_at__isnull=False),
                name="tracking_without_a_message_waits",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("retry_at",), condition=Q(retry_at__isnull=False), name="tracking_waiting"
            ),
            # For the list of staff: few among many.
            models.Index(
                fields=("id",), condition=Q(delivery__isnull=True), name="tracking_unmatched"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.provider})"

    @property
    def meaning(self) -> str:
        """Return the kind, for a bounce with its kind, or empty for a "complaint" that is praise.

        Providers report a mail that was moved out of the spam folder as a complaint too.
        """
        if self.kind == TrackingKind.COMPLAINED and self.detail.strip().lower() == NOT_SPAM:
            return ""
        return f"{self.bounce}_bounced" if self.bounce else self.kind


class Receipt(CourseScoped):
    """What became of a message after its hand-off: the first instant of each. Derived.

    Opens and clicks of people and of machines are kept apart.
    """

    course_scope = through("delivery__enrollment__course")

    delivery = models.OneToOneField(Delivery, on_delete=models.CASCADE, related_name="receipt")
    delivered_at = models.DateTimeField(null=True, blank=True)
    soft_bounced_at = models.DateTimeField(null=True, blank=True)
    hard_bounced_at = models.DateTimeField(null=True, blank=True)
    rejected_at = models.DateTimeField(null=True, blank=True)
    complained_at = models.DateTimeField(null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    clicked_at = models.DateTimeField(null=True, blank=True)
    machine_opened_at = models.DateTimeField(null=True, blank=True)
    machine_clicked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"receipt of {self.delivery_id}"
