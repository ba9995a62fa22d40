"""Opt-outs, complaints and hard bounces that were received and are not applied yet."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models.log import Event
from activity.models.roster import Learner
from activity.models.scope import CourseScoped, through


class NoKind(models.TextChoices):
    OPT_OUT = "opt_out", "wants no messages"
    COMPLAINT = "complaint", "marked a message as spam"
    BOUNCE = "bounce", "the mailbox accepts no mail"


class NoSource(models.TextChoices):
    FEED = "feed", "an event of the platform"
    ROSTER = "roster", "the roster"
    IMPORT = "import", "a list of known opt-outs"
    WEBHOOK = "webhook", "the mail provider"


class PendingNo(CourseScoped):
    """An opt-out, complaint or bounce that is not applied yet.

    It is written in the transaction that received it. Dispatch applies the rows of a learner and
    their mailbox before it decides on a message, so no message is sent in between. An applied row
    is deleted; its event and the consent entry remain.
    """

    course_scope = through("learner__enrollments__course")

    learner = models.ForeignKey(
        Learner, null=True, blank=True, on_delete=models.CASCADE, related_name="pending_noes"
    )
    # The learner's mailbox at that time. Without a learner: the address in a list of opt-outs.
    mailbox = models.CharField(max_length=320, blank=True, default="")
    kind = models.CharField(max_length=9, choices=NoKind.choices)
    source = models.CharField(max_length=10, choices=NoSource.choices)
    event = models.ForeignKey(
        Event, null=True, blank=True, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    said_at = models.DateTimeField()
    retry_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        verbose_name = "pending opt-out"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(learner__isnull=False) | ~Q(mailbox=""), name="no_is_of_somebody"
            ),
            models.CheckConstraint(condition=Q(kind__in=NoKind.values), name="no_kind_is_known"),
            models.CheckConstraint(
                condition=Q(source__in=NoSource.values), name="no_source_is_known"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=("mailbox",), name="no_by_mailbox")]

    def __str__(self) -> str:
        return f"{self.learner or self.mailbox}: {self.get_kind_display()}"
