"""Cadences, their triggers and arms, and their steps."""

from datetime import timedelta
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from activity.models import shared_unless
from experiments.models import Arm
from interventions.models.field_checks import FieldCheckedModel, check
from interventions.models.messages import Category, Channel, MessageTemplate, channel_choices
from interventions.policy.windows import WEEK, SendWindow
from segmentation.models import Segment

DEFAULT_MAX_AGE = timedelta(days=7)
# Behind every step: a branch to it ends the run.
END_POSITION = 32_767


class Trigger(models.TextChoices):
    ENTER = "enter", "entering the segment"
    LEAVE = "leave", "leaving the segment"
    MANUAL = "manual", "started manually"


class Reentry(models.TextChoices):
    NEVER = "never", "once per learner and course"
    COOLDOWN = "cooldown", "again after a pause"


class CadenceStatus(models.TextChoices):
    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class Cadence(FieldCheckedModel):
    """A sequence of steps that a learner runs through after a trigger."""

    course_scope = shared_unless("segment__playbook__courses")

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
        help_text="Only learners in this arm get messages. Leave it empty for all learners.",
    )
    ghost_for = models.OneToOneField(
        Arm,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="ghosted_cadence",
        help_text="The control arm whose learners go through this cadence without being messaged.",
    )
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="cadences")
    priority = models.PositiveIntegerField(default=100, help_text="A lower number goes first.")
    why_now = models.CharField(
        max_length=200,
        blank=True,
        verbose_name="it comes now because",
        help_text="The end of this sentence in each message: It comes now because “you have not "
        "been in the course for a week”.",
    )
    reentry = models.CharField(max_length=8, choices=Reentry.choices, default=Reentry.NEVER)
    cooldown = models.DurationField(
        null=True,
        blank=True,
        help_text="For “again after a pause”: the pause before a learner can start again. A "
        "learner who enters the segment during the pause starts at its end, if still a member.",
    )
    exit_on_leave = models.BooleanField(
        default=True, help_text="The run ends when the learner leaves the segment."
    )
    goal_rule = models.JSONField(
        null=True, blank=True, help_text="The run ends when this rule is true for the learner."
    )
    window_from = models.TimeField(
        null=True, blank=True, help_text="Send only after this local time,"
    )
    window_until = models.TimeField(null=True, blank=True, help_text="and before this local time.")
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(),
        default=list,
        db_default=[],
        blank=True,
        verbose_name="on these weekdays",
        help_text="Send only on these days of the learner's own calendar. Without a tick it sends "
        "on every day.",
    )
    max_age = models.DurationField(
        default=DEFAULT_MAX_AGE, help_text="A planned message that waits longer than this expires."
    )
    paused = models.BooleanField(
        default=False, help_text="Its messages wait. They expire when they are too old."
    )

    class Meta:
        ordering = ("priority", "key")
        constraints: ClassVar = [
            check(
                "cadence_trigger_has_a_segment",
                Q(trigger="manual") | Q(segment__isnull=False),
                at="segment",
                sentence="Choose the segment that starts the cadence, or set the trigger to "
                "“started manually”.",
            ),
            check(
                "cadence_ghost_needs_an_arm",
                Q(ghost_for__isnull=True) | Q(arm__isnull=False),
                at="arm",
                sentence="Choose the arm that gets the messages. Its ghosts are in the control arm "
                "of the same experiment.",
            ),
            check(
                "cadence_cooldown_has_a_length",
                ~Q(reentry="cooldown") | Q(cooldown__isnull=False),
                at="cooldown",
                sentence="Enter the length of the pause before a learner can start again, such as "
                "30 days.",
            ),
            check(
                "cadence_window_has_both_ends",
                Q(window_from__isnull=True, window_until__isnull=True)
                | Q(window_from__isnull=False, window_until__isnull=False),
                at="window_until",
                sentence="Enter both times for sending, or leave both empty.",
            ),
            # From 9:00 until 9:00 could mean never or always.
            check(
                "cadence_window_has_a_length",
                Q(window_from__isnull=True) | ~Q(window_from=F("window_until")),
                at="window_until",
                sentence="Both times are the same time, which could mean never or always. Enter "
                "another time, or leave both empty to send at any time.",
            ),
            check(
                "cadence_weekdays_are_known",
                Q(weekdays__contained_by=[*WEEK]),
                at="weekdays",
                sentence="Choose days from Monday to Sunday.",
            ),
            check(
                "cadence_status_is_known",
                Q(status__in=CadenceStatus.values),
                at="status",
                sentence="Choose draft, active or archived.",
            ),
            check(
                "cadence_trigger_is_known",
                Q(trigger__in=Trigger.values),
                at="trigger",
                sentence="Choose what starts the cadence.",
            ),
            check(
                "cadence_max_age_is_positive",
                Q(max_age__gt=timedelta(0)),
                at="max_age",
                sentence="Every message would expire at once. Enter how long a message may wait, "
                "such as 7 days.",
            ),
        ]

    def __str__(self) -> str:
        return self.named(self.name)

    @property
    def send_window(self) -> SendWindow | None:
        """Return when the cadence may send. None: at any time."""
        if self.window_from is None and not self.weekdays:
            return None
        return SendWindow(self.window_from, self.window_until, frozenset(self.weekdays))


class Step(FieldCheckedModel):
    """One message of a cadence."""

    course_scope = shared_unless("cadence__segment__playbook__courses")

    cadence = models.ForeignKey(Cadence, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(default=0)
    delay = models.DurationField(help_text="The time after the planned time of the previous step.")
    channel = models.CharField(max_length=10, choices=channel_choices, default=Channel.EMAIL)
    template = models.ForeignKey(MessageTemplate, on_delete=models.PROTECT, related_name="steps")
    condition = models.JSONField(
        null=True, blank=True, help_text="A rule. If it is not true, this step is dropped."
    )
    # Positions, and not steps, so that a check of the row alone forbids loops: along a run they
    # only grow. If the step there was removed, the next one takes its place, as for runs.
    then_position = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="The position at which a run continues after this step. Empty: the next step.",
    )
    otherwise_position = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="The position at which a run continues if the condition is not true. Empty: the "
        "next step.",
    )

    class Meta:
        ordering = ("cadence_id", "position")
        constraints: ClassVar = [
            # Deferred: while two steps swap positions, both have the same position for a moment.
            models.UniqueConstraint(
                fields=("cadence", "position"),
                name="step_position_once",
                deferrable=models.Deferrable.DEFERRED,
            ),
            check(
                "step_delay_is_not_negative",
                Q(delay__gte=timedelta(0)),
                at="delay",
                sentence="A step cannot come before the previous step. Enter 0 or more.",
            ),
            check(
                "step_goes_forward",
                (Q(then_position__isnull=True) | Q(then_position__gt=F("position")))
                & (Q(otherwise_position__isnull=True) | Q(otherwise_position__gt=F("position"))),
                at="then_position",
                sentence="A step can only go on with a later step.",
            ),
            check(
                "step_otherwise_needs_a_condition",
                Q(otherwise_position__isnull=True) | Q(condition__isnull=False),
                at="otherwise_position",
                sentence="Without a condition there is no “if not”. Add a condition, or leave this "
                "empty.",
            ),
        ]

    def __str__(self) -> str:
        # Positions start at 0, but people count from 1.
        return f"{self.cadence}, step {self.position + 1}"

    def following(self, *, met: bool) -> int:
        """Return the position at which a run continues. `met`: the condition was true."""
        branch = self.then_position if met else self.otherwise_position
        return self.position + 1 if branch is None else branch
