"""Runs of learners through cadences, and the ledger of all messages planned for them."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from activity.models import CourseScoped, Enrollment, Learner, through
from experiments.models import Assignment
from interventions.models.cadences import Cadence, Step
from interventions.models.messages import Category, TemplateText, channel_choices
from segmentation.models import Transition


class RunStatus(models.TextChoices):
    ACTIVE = "active"
    FINISHED = "finished"
    EXITED = "exited"


class Run(CourseScoped):
    """One learner's way through a cadence. A ghost run does everything except the hand-off."""

    course_scope = through("enrollment__course")

    cadence = models.ForeignKey(Cadence, on_delete=models.PROTECT, related_name="runs")
    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="runs")
    # An old transition moves into the archive, and the run keeps its id: no transition means that
    # staff started the run. Both are deleted with their enrollment.
    transition = models.ForeignKey(
        Transition,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        related_name="runs",
        db_constraint=False,
    )
    assignment = models.ForeignKey(
        Assignment, null=True, blank=True, on_delete=models.PROTECT, related_name="runs"
    )
    ghost = models.BooleanField(default=False)
    status = models.CharField(max_length=8, choices=RunStatus.choices, default=RunStatus.ACTIVE)
    exit_reason = models.CharField(max_length=50, blank=True, default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    next_position = models.PositiveSmallIntegerField(null=True, blank=True)
    next_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="The planned instant of the next step. The delays count from it.",
    )
    waits_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="The end of the pause after an earlier run, for which this run waits. It is kept "
        "if the run ended while it waited.",
    )
    # Planning failed and is not tried again before this instant. next_at stays, because all later
    # steps would move with it.
    retry_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("cadence", "enrollment"),
                condition=Q(status="active"),
                name="run_one_active",
            ),
            models.CheckConstraint(
                condition=Q(status="active") | Q(ended_at__isnull=False),
                name="run_ended_has_an_end",
            ),
            models.CheckConstraint(
                condition=Q(status__in=RunStatus.values), name="run_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(next_at__isnull=True, next_position__isnull=True)
                | Q(next_at__isnull=False, next_position__isnull=False),
                name="run_next_step_has_an_instant",
            ),
            models.CheckConstraint(
                condition=Q(waits_until__isnull=True) | Q(waits_until__gt=F("started_at")),
                name="run_waits_for_what_is_to_come",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("next_at",),
                condition=Q(status="active", next_at__isnull=False),
                name="run_due",
            ),
            # Runs with all steps planned that wait for their last message, for `close_runs`.
            models.Index(
                fields=("id",),
                condition=Q(status="active", next_at__isnull=True),
                name="run_to_close",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cadence} for {self.enrollment}"


class DeliveryState(models.TextChoices):
    PLANNED = "planned"
    CLAIMED = "claimed"
    HANDED_OFF = "handed_off", "handed off"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained", "marked as spam"
    IN_DOUBT = "in_doubt", "in doubt: may or may not have been accepted"
    GHOST = "ghost", "ghost: would have been sent"
    DROPPED = "dropped"
    EXPIRED = "expired"
    FAILED = "failed"


# The states that a frequency cap counts: the learner got the message, may have got it, or would
# have got it (ghosts).
COUNTED_STATES = (
    DeliveryState.CLAIMED,
    DeliveryState.HANDED_OFF,
    DeliveryState.DELIVERED,
    DeliveryState.BOUNCED,
    DeliveryState.COMPLAINED,
    DeliveryState.IN_DOUBT,
    DeliveryState.GHOST,
)


class Delivery(CourseScoped):
    """The ledger: one row per run and step, written before the message is sent.

    planned → claimed → handed_off | failed | in_doubt, and back to planned only on proof that
    nothing was accepted; in_doubt → handed_off | failed | planned, still counted by the caps;
    planned → dropped | expired | ghost; failed → planned if staff try again. A delivery that was in
    doubt before ends in doubt (with `finished_at`) instead of dropped, expired or failed.
    Only interventions.operations changes the state.
    """

    course_scope = through("enrollment__course")

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    run = models.ForeignKey(
        Run, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="deliveries")
    # Copied from run, step and cadence. The claim, the caps and the ledger page read them without a
    # join, and an edit of a cadence must not change planned deliveries.
    learner = models.ForeignKey(
        Learner, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="deliveries")
    # Nothing looks for all messages of a category or of a text.
    category = models.ForeignKey(
        Category, on_delete=models.PROTECT, related_name="deliveries", db_index=False
    )
    channel = models.CharField(max_length=10, choices=channel_choices)
    priority = models.PositiveIntegerField()
    ghost = models.BooleanField()

    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.PLANNED
    )
    reason = models.CharField(max_length=100, blank=True, default="")
    planned_at = models.DateTimeField()
    send_at = models.DateTimeField(
        help_text="The message is not sent before this instant. Deferrals move it."
    )
    expires_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    token = models.UUIDField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # True if it was planned again after a doubt (prefer_delivery). The learner may already have a
    # copy, so the caps keep counting it, whatever happens to the next copy.
    doubted = models.BooleanField(default=False)
    message_id = models.CharField(max_length=200, blank=True, default="")
    # The message's id at the provider, after the provider's name and a colon. Its webhooks use it.
    provider_id = models.CharField(max_length=300, blank=True, default="", db_default="")
    address = models.CharField(max_length=320, blank=True, default="")
    template_text = models.ForeignKey(
        TemplateText,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="deliveries",
        db_index=False,
    )
    # All decisions, one entry per move: {at, state, reason, detail, until}.
    trace = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("run", "step"), name="delivery_once_a_step"),
            models.UniqueConstraint(
                fields=("message_id",), condition=~Q(message_id=""), name="delivery_message_id_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=DeliveryState.values), name="delivery_state_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(state="claimed")
                | Q(
                    token__isnull=False,
                    lease_until__isnull=False,
                ),
                name="delivery_claimed_has_a_lease",
            ),
            models.CheckConstraint(
                condition=Q(ghost=True) | ~Q(state="ghost"), name="delivery_ghost_state_is_a_ghost"
            ),
            models.CheckConstraint(
                condition=Q(ghost=False)
                | Q(state__in=("planned", "ghost", "dropped", "expired", "failed")),
                name="delivery_ghost_is_never_sent",
            ),
            # With this the caps need only claimed_at, and no move can forget to set or clear it.
            models.CheckConstraint(
                condition=(
                    (Q(state__in=COUNTED_STATES) | Q(doubted=True)) & Q(claimed_at__isnull=False)
                )
                | (~Q(state__in=COUNTED_STATES) & Q(doubted=False, claimed_at__isnull=True)),
                name="delivery_counts_by_claimed_at",
            ),
            models.CheckConstraint(
                condition=~Q(doubted=True, state__in=("dropped", "expired", "failed")),
                name="delivery_doubted_is_never_unsent",
            ),
        ]
        # Each change of the state writes to all indexes without a condition, because conditions
        # name the state: no such change can be HOT. So each index must have a query that needs it.
        # Besides these: `key` for links, (run, step) for plan and for closing runs, step for
        # funnels and numbers, enrollment for the page and the list of a learner.
        indexes: ClassVar = [
            models.Index(
                fields=("lease_until",), condition=Q(state="claimed"), name="delivery_leased"
            ),
            models.Index(
                fields=("category",), condition=Q(state="in_doubt"), name="delivery_in_doubt"
            ),
            # Only few rows fail. Monitoring counts the recent ones.
            models.Index(
                fields=("finished_at",), condition=Q(state="failed"), name="delivery_failed"
            ),
            # The rows that the caps count, and all of a learner who is deleted.
            models.Index(fields=("learner", "claimed_at"), name="delivery_of_learner"),
            # The list of staff by reason, the newest first.
            models.Index(
                fields=("reason", "id"), condition=~Q(reason=""), name="delivery_by_reason"
            ),
            # The messages of a day, for the page of a course.
            models.Index(
                fields=("claimed_at",),
                condition=Q(claimed_at__isnull=False),
                name="delivery_by_instant",
            ),
            models.Index(
                fields=("provider_id",),
                condition=~Q(provider_id=""),
                name="delivery_by_provider_id",
            ),
            models.Index(
                Lower("address"),
                "claimed_at",
                condition=Q(claimed_at__isnull=False),
                name="delivery_counted_by_mailbox",
            ),
            models.Index(
                fields=("learner", "send_at"),
                condition=Q(state="planned"),
                name="delivery_planned_of_learner",
            ),
            # Due messages are read step by step, without the steps that a pause holds. It also
            # leads to all that wait.
            models.Index(
                fields=("step", "send_at"),
                condition=Q(state="planned"),
                name="delivery_planned_of_step",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} to {self.learner}: {self.get_state_display()}"
