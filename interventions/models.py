"""What learners receive: templates, cadences and their runs, the delivery ledger, and what limits it."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import Course, Enrollment, Learner
from experiments.models import Arm, Assignment
from segmentation.models import Segment, Transition


class InDoubtPolicy(models.TextChoices):
    PREFER_ONCE = "prefer_once", "never send twice, even if it may not have arrived"
    PREFER_DELIVERY = "prefer_delivery", "send again, even if it may have arrived"


class Category(models.Model):
    """A kind of message that a learner can want or not want."""

    key = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=300, blank=True)
    needs_opt_in = models.BooleanField(default=False)
    capped = models.BooleanField(default=True, help_text="Frequency caps apply.")
    quiet = models.BooleanField(default=True, help_text="Quiet hours apply.")
    in_doubt_policy = models.CharField(
        max_length=15, choices=InDoubtPolicy.choices, default=InDoubtPolicy.PREFER_ONCE
    )
    list_id = models.CharField(max_length=200, blank=True, help_text="The List-ID header's value.")

    class Meta:
        verbose_name_plural = "categories"
        ordering = ("key",)

    def __str__(self) -> str:
        return self.name


class Channel(models.TextChoices):
    EMAIL = "email"


class MessageTemplate(models.Model):
    """A message's words. Its texts are kept version by version; a delivery names the version it used."""

    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.EMAIL)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="templates")
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ("key",)

    def __str__(self) -> str:
        return self.name


class TemplateText(models.Model):
    """Liquid subject and body of one version in one locale. Append only."""

    template = models.ForeignKey(MessageTemplate, on_delete=models.CASCADE, related_name="texts")
    version = models.PositiveIntegerField(default=1)
    locale = models.CharField(max_length=16, default="en")
    subject = models.CharField(max_length=300)
    body = models.TextField(help_text="Liquid over simple HTML. Unknown variables are refused.")

    class Meta:
        ordering = ("template_id", "-version", "locale")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("template", "version", "locale"), name="template_text_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.template} v{self.version} {self.locale}"


class Trigger(models.TextChoices):
    ENTER = "enter", "entering the segment"
    LEAVE = "leave", "leaving the segment"
    MANUAL = "manual", "started by hand"


class Reentry(models.TextChoices):
    NEVER = "never", "once a learner and course"
    COOLDOWN = "cooldown", "again after a pause"


class CadenceStatus(models.TextChoices):
    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class Cadence(models.Model):
    """A sequence of steps that a learner runs through after a trigger."""

    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    status = models.CharField(
        max_length=10, choices=CadenceStatus.choices, default=CadenceStatus.DRAFT
    )
    trigger = models.CharField(max_length=6, choices=Trigger.choices, default=Trigger.ENTER)
    segment = models.ForeignKey(
        Segment, null=True, blank=True, on_delete=models.PROTECT, related_name="cadences"
    )
    arm = models.ForeignKey(
        Arm,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="cadences",
        help_text="Empty: everybody. Else: only who was drawn into this arm.",
    )
    ghost_for = models.OneToOneField(
        Arm,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="ghosted_cadence",
        help_text="The control arm whose learners run through this cadence without being messaged.",
    )
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="cadences")
    priority = models.PositiveIntegerField(default=100, help_text="The lower number goes first.")
    reentry = models.CharField(max_length=8, choices=Reentry.choices, default=Reentry.NEVER)
    cooldown = models.DurationField(null=True, blank=True)
    exit_on_leave = models.BooleanField(
        default=True, help_text="The run ends when the learner leaves the segment."
    )
    goal_rule = models.JSONField(
        null=True, blank=True, help_text="The run ends when this rule is true for the learner."
    )
    window_from = models.TimeField(null=True, blank=True, help_text="Send only from this local time")
    window_until = models.TimeField(null=True, blank=True, help_text="until this local time.")
    max_age = models.DurationField(help_text="A message not sent this long after its plan expires.")
    paused = models.BooleanField(default=False)

    class Meta:
        ordering = ("priority", "key")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(trigger="manual") | Q(segment__isnull=False),
                name="cadence_trigger_has_a_segment",
            ),
            models.CheckConstraint(
                condition=Q(ghost_for__isnull=True) | Q(arm__isnull=False),
                name="cadence_ghost_needs_an_arm",
            ),
            models.CheckConstraint(
                condition=~Q(reentry="cooldown") | Q(cooldown__isnull=False),
                name="cadence_cooldown_has_a_length",
            ),
            models.CheckConstraint(
                condition=Q(window_from__isnull=True, window_until__isnull=True)
                | Q(window_from__isnull=False, window_until__isnull=False),
                name="cadence_window_has_both_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Step(models.Model):
    """One message of a cadence."""

    cadence = models.ForeignKey(Cadence, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(default=0)
    delay = models.DurationField(help_text="After the previous step's planned instant.")
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.EMAIL)
    template = models.ForeignKey(MessageTemplate, on_delete=models.PROTECT, related_name="steps")
    condition = models.JSONField(
        null=True, blank=True, help_text="A rule. Where it is not true, this step is dropped."
    )

    class Meta:
        ordering = ("cadence_id", "position")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("cadence", "position"), name="step_position_once")
        ]

    def __str__(self) -> str:
        return f"{self.cadence} step {self.position}"


class RunStatus(models.TextChoices):
    ACTIVE = "active"
    FINISHED = "finished"
    EXITED = "exited"


class Run(models.Model):
    """One learner's way through a cadence. A ghost run plans, waits and counts, but hands nothing off."""

    cadence = models.ForeignKey(Cadence, on_delete=models.PROTECT, related_name="runs")
    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="runs")
    transition = models.ForeignKey(
        Transition, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs"
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
    next_at = models.DateTimeField(null=True, blank=True)
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
                condition=Q(status="active") | Q(ended_at__isnull=False), name="run_ended_has_an_end"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("next_at",),
                condition=Q(status="active", next_at__isnull=False),
                name="run_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.cadence} for {self.enrollment_id}"


class DeliveryState(models.TextChoices):
    PLANNED = "planned"
    CLAIMED = "claimed"
    HANDED_OFF = "handed_off", "handed to the mail server"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained", "marked as spam"
    IN_DOUBT = "in_doubt", "in doubt: may or may not have been accepted"
    GHOST = "ghost", "ghost: would have been sent"
    DROPPED = "dropped"
    EXPIRED = "expired"
    FAILED = "failed"


class Delivery(models.Model):
    """The ledger: one row a run and step, written before the act. DESIGN section 6 lists the moves."""

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="deliveries")
    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="deliveries")
    # Repeated from run, step and cadence, because the claim, the caps and the ledger page read them
    # without a join, and because what was planned must not change when a cadence is edited.
    learner = models.ForeignKey(
        Learner, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="deliveries")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="deliveries")
    channel = models.CharField(max_length=10, choices=Channel.choices)
    priority = models.PositiveIntegerField()
    ghost = models.BooleanField()

    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.PLANNED
    )
    reason = models.CharField(max_length=100, blank=True, default="")
    planned_at = models.DateTimeField()
    send_at = models.DateTimeField(help_text="Not before this instant; moved on by deferrals.")
    expires_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    token = models.UUIDField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    message_id = models.CharField(max_length=200, blank=True, default="")
    address = models.CharField(max_length=320, blank=True, default="")
    template_text = models.ForeignKey(
        TemplateText, null=True, blank=True, on_delete=models.PROTECT, related_name="deliveries"
    )
    # What the policy was asked and said, decision by decision: a list of {at, decision, reason, until}.
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
                    claimed_at__isnull=False,
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
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("send_at",), condition=Q(state="planned"), name="delivery_due"
            ),
            models.Index(
                fields=("lease_until",), condition=Q(state="claimed"), name="delivery_leased"
            ),
            # What the caps count.
            models.Index(
                fields=("learner", "claimed_at"),
                condition=Q(claimed_at__isnull=False),
                name="delivery_counted",
            ),
            models.Index(
                fields=("learner", "send_at"),
                condition=Q(state="planned"),
                name="delivery_planned_of_learner",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step} to {self.learner_id}: {self.state}"


class CapScope(models.TextChoices):
    EVERYTHING = "everything", "everything"
    CHANNEL = "channel", "one channel"
    CATEGORY = "category", "one category"


class CapWindow(models.TextChoices):
    ROLLING_HOURS = "rolling_hours", "the last N hours"
    ROLLING_DAYS = "rolling_days", "the last N times 24 hours"
    CALENDAR_DAY = "calendar_day", "a calendar day of the learner"
    CALENDAR_WEEK = "calendar_week", "a calendar week (from Monday) of the learner"


class OnExceed(models.TextChoices):
    DROP = "drop", "drop the message"
    DEFER = "defer", "send it when it becomes possible"


class FrequencyCap(models.Model):
    """At most `limit` messages to a learner within a window."""

    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=10, choices=CapScope.choices, default=CapScope.EVERYTHING)
    channel = models.CharField(max_length=10, choices=Channel.choices, blank=True, default="")
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.CASCADE, related_name="caps"
    )
    course = models.ForeignKey(
        Course,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="frequency_caps",
        help_text="Empty: messages of all courses count.",
    )
    limit = models.PositiveIntegerField()
    window = models.CharField(max_length=14, choices=CapWindow.choices)
    length = models.PositiveIntegerField(default=1, help_text="N, for the rolling windows.")
    on_exceed = models.CharField(max_length=5, choices=OnExceed.choices, default=OnExceed.DEFER)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(length__gte=1), name="cap_length_is_positive"),
            models.CheckConstraint(
                condition=Q(scope="everything", channel="", category__isnull=True)
                | (Q(scope="channel", category__isnull=True) & ~Q(channel=""))
                | Q(scope="category", channel="", category__isnull=False),
                name="cap_scope_names_its_object",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class QuietHours(models.Model):
    """When nobody is messaged, in the learner's zone. A course's row replaces the site's (course empty)."""

    course = models.OneToOneField(
        Course, null=True, blank=True, on_delete=models.CASCADE, related_name="quiet_hours"
    )
    begins = models.TimeField()
    ends = models.TimeField(help_text="Before the beginning: the next morning.")

    class Meta:
        verbose_name_plural = "quiet hours"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("course",), nulls_distinct=False, name="quiet_hours_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.begins:%H:%M} to {self.ends:%H:%M}"


class ConsentState(models.TextChoices):
    IN = "in", "wants it"
    OUT = "out", "does not want it"


class Consent(models.Model):
    """What a learner said of a category, the last word counting. Category empty: of every message."""

    learner = models.ForeignKey(Learner, on_delete=models.CASCADE, related_name="consents")
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.CASCADE, related_name="consents"
    )
    state = models.CharField(max_length=3, choices=ConsentState.choices)
    changed_at = models.DateTimeField()
    source = models.CharField(max_length=50)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("learner", "category"), nulls_distinct=False, name="consent_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.learner}: {self.get_state_display()}"


class Suppression(models.Model):
    """An address that must not be written to: it bounced for good, or its owner complained."""

    address = models.CharField(max_length=320, unique=True, help_text="Lower case.")
    reason = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.address


class SitePause(models.Model):
    """One row: whether all sending is paused."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    paused = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="site_pause_is_one_row")
        ]

    def __str__(self) -> str:
        return "all sending is paused" if self.paused else "sending"


class MailboxMessage(models.Model):
    """A message that landed in the staff mailbox instead of going out."""

    received_at = models.DateTimeField(db_index=True)
    message_id = models.CharField(max_length=200, db_index=True)
    sender = models.CharField(max_length=320)
    recipient = models.CharField(max_length=320, db_index=True)
    subject = models.CharField(max_length=998)
    headers = models.JSONField(default=list)
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)

    class Meta:
        ordering = ("-received_at", "-id")

    def __str__(self) -> str:
        return self.subject
