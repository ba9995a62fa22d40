"""Old messages of the ledger, in tables by month."""

from typing import Any, ClassVar

from django.db import models

from activity.models import CourseScoped, Enrollment, Learner, through
from interventions.models.cadences import Step
from interventions.models.ledger import Delivery, DeliveryState, Run
from interventions.models.messages import Category, TemplateText, channel_choices
from interventions.models.sent import SentMessage, SentPage

# PostgreSQL deletes the rows of an enrollment that is deleted. A run and a learner are never
# deleted without their enrollments, so the rows need no second way. Other tables are not locked
# while a month is made or dropped.
_LOOSE: dict[str, Any] = {"related_name": "+", "db_index": False, "db_constraint": False}


class ArchivedDelivery(CourseScoped):
    """A message that ended long ago, with its receipt. Its id is the one that it had in the ledger.

    The table is partitioned by the month of `finished_at`, so a unique key must hold that column.
    """

    course_scope = through("enrollment__course")

    id = models.BigIntegerField(primary_key=True)
    key = models.UUIDField()
    run = models.ForeignKey(Run, on_delete=models.DO_NOTHING, **_LOOSE)
    step = models.ForeignKey(Step, on_delete=models.PROTECT, **_LOOSE)
    learner = models.ForeignKey(Learner, on_delete=models.DO_NOTHING, **_LOOSE)
    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    category = models.ForeignKey(Category, on_delete=models.PROTECT, **_LOOSE)
    channel = models.CharField(max_length=10, choices=channel_choices)
    priority = models.PositiveIntegerField()
    ghost = models.BooleanField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices)
    reason = models.CharField(max_length=100, blank=True, default="")
    planned_at = models.DateTimeField()
    send_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField()
    doubted = models.BooleanField()
    template_text = models.ForeignKey(
        TemplateText, null=True, blank=True, on_delete=models.PROTECT, **_LOOSE
    )
    # Its receipt, if there was one.
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

    class Meta:
        verbose_name_plural = "archived deliveries"
        indexes: ClassVar = [
            models.Index(fields=("finished_at", "id"), name="archived_delivery_at"),
            models.Index(fields=("enrollment",), name="archived_delivery_enrollment"),
            models.Index(fields=("step",), name="archived_delivery_step"),
            models.Index(fields=("template_text",), name="archived_delivery_text"),
        ]

    def __str__(self) -> str:
        return f"{self.step} to {self.learner}: {self.get_state_display()}"

    def as_delivery(self) -> Delivery:
        """Return the message as the ledger had it, for the sentences of all pages. Not to be saved.

        The rows that were loaded with it are handed on. Without its trace, which has an age of its
        own, no decision is named.
        """
        names = {field.attname for field in Delivery._meta.concrete_fields}
        own = {field.attname for field in self._meta.concrete_fields}
        found = Delivery(**{name: getattr(self, name) for name in names & own})
        for name, row in self._state.fields_cache.items():
            if name in _SHARED_ROWS:
                setattr(found, name, row)
        trace = self.kept_trace
        if trace is not None:
            found.trace, found.address = trace.trace, trace.address
            found.message_id, found.provider_id = trace.message_id, trace.provider_id
        return found

    @property
    def kept_trace(self) -> "ArchivedTrace | None":
        """Return the trace that was loaded with the row, or None if its month is gone."""
        return getattr(self, "traced", None)


_SHARED_ROWS = ("run", "step", "learner", "enrollment", "category", "template_text")


class ArchivedTrace(CourseScoped):
    """What was decided, sent and reported about a message of the archive.

    It is apart from the message, because it is personal and large: its months can be dropped while
    the numbers stay.
    """

    course_scope = through("enrollment__course")

    delivery = models.OneToOneField(
        ArchivedDelivery,
        primary_key=True,
        on_delete=models.DO_NOTHING,
        related_name="traced",
        db_constraint=False,
    )
    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    finished_at = models.DateTimeField()
    trace = models.JSONField(default=list)
    address = models.CharField(max_length=320, blank=True, default="")
    message_id = models.CharField(max_length=200, blank=True, default="")
    provider_id = models.CharField(max_length=300, blank=True, default="")
    # The columns of the rows that were deleted with the message.
    sent = models.JSONField(null=True, blank=True)
    reports = models.JSONField(null=True, blank=True)
    task = models.JSONField(null=True, blank=True)
    in_app = models.JSONField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=("enrollment",), name="archived_trace_enrollment"),
        ]

    def __str__(self) -> str:
        return f"trace of {self.delivery_id}"

    def as_sent_message(self, delivery: Delivery) -> SentMessage | None:
        """Return what was sent, as the page of a sent message reads it, or None. Not to be saved.

        One query, for the page around the words.
        """
        if not self.sent:
            return None
        names = {field.attname for field in SentMessage._meta.concrete_fields} - {"delivery_id"}
        found = SentMessage(**{name: self.sent[name] for name in names if name in self.sent})
        found.delivery = delivery
        found.page = SentPage.objects.filter(pk=found.page_id).first()
        return found
