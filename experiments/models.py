"""Models of experiments: arms, assignments and the outcomes of deliveries."""

from secrets import token_hex
from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import CourseScoped, Enrollment, shared_unless, through
from segmentation.models import Playbook, Segment


def random_seed() -> str:
    """Return a seed that no other experiment has."""
    return token_hex(8)


class ExperimentStatus(models.TextChoices):
    DRAFT = "draft", "draft: not started"
    RUNNING = "running", "running"
    STOPPED = "stopped", "stopped: no more learners are drawn"


SEED_ONCE = (
    "Another experiment has this seed, so both would draw the same learners into the same arms. "
    "Write another text."
)


class Experiment(CourseScoped):
    """A comparison of arms among the members of a segment or of a whole playbook."""

    course_scope = shared_unless("segment__playbook__courses", "playbook__courses")

    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    hypothesis = models.TextField(blank=True)
    segment = models.ForeignKey(
        Segment, null=True, blank=True, on_delete=models.PROTECT, related_name="experiments"
    )
    playbook = models.ForeignKey(
        Playbook, null=True, blank=True, on_delete=models.PROTECT, related_name="experiments"
    )
    unit = models.CharField(
        max_length=12, choices=[("enrollment", "enrollment")], default="enrollment"
    )
    method = models.CharField(max_length=12, choices=[("hash", "hash")], default="hash")
    seed = models.CharField(
        max_length=100,
        default=random_seed,
        help_text="Any text that no other experiment has. Two experiments with one seed would draw "
        "the same learners into the same arms.",
    )
    coverage = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        default=1,
        help_text="The share of the members that takes part, from 0 to 1. You can raise it later: "
        "no learner changes arm.",
    )
    differs_outside = models.BooleanField(
        default=False,
        verbose_name="the arms differ outside Nudgelab",
        help_text="Tick this if the arms differ in something that no cadence sends, such as "
        "another version of a page. Otherwise a cadence must send messages to a treatment arm and "
        "must have the control as its ghost arm.",
    )
    status = models.CharField(
        max_length=8, choices=ExperimentStatus.choices, default=ExperimentStatus.DRAFT
    )
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    # Both are written once, at the start: canonical JSON of all that a report prints, and its
    # digest.
    protocol = models.TextField(blank=True, default="", editable=False)
    protocol_sha256 = models.CharField(max_length=64, blank=True, default="", editable=False)

    class Meta:
        ordering = ("key",)
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(segment__isnull=True, playbook__isnull=False)
                | Q(segment__isnull=False, playbook__isnull=True),
                name="experiment_has_one_population",
                violation_error_message="Choose a segment or a playbook, not both.",
            ),
            models.UniqueConstraint(
                fields=("seed",),
                name="experiment_seed_once",
                violation_error_message=SEED_ONCE,
            ),
            models.CheckConstraint(
                condition=Q(coverage__gte=0, coverage__lte=1),
                name="experiment_coverage_is_a_share",
                violation_error_message="The coverage is a share. Write a number from 0 to 1.",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ExperimentStatus.values),
                name="experiment_status_is_known",
                violation_error_message="The status must be draft, running or stopped.",
            ),
            models.CheckConstraint(
                condition=Q(status="draft") | (Q(started_at__isnull=False) & ~Q(protocol="")),
                name="experiment_started_has_a_protocol",
                violation_error_message="Use the start action, which locks the protocol.",
            ),
            models.CheckConstraint(
                condition=~Q(status="stopped") | Q(stopped_at__isnull=False),
                name="experiment_stopped_has_an_end",
                violation_error_message=(
                    "Stop the experiment with its stop action, which records the time."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.named(self.name)


# The constraints show these sentences for a single arm, and the form set for all arms of a page.
ARM_KEY_ONCE = "Another arm of the experiment has this key. Give each arm its own key."
ARM_POSITION_ONCE = "Another arm of the experiment has this position. Number the arms 0, 1, 2."
ARM_ONE_CONTROL = "Exactly one arm is the control. Remove the tick from the other arms."


class Arm(CourseScoped):
    """One of the things compared. Exactly one arm of an experiment is the control."""

    course_scope = shared_unless(
        "experiment__segment__playbook__courses", "experiment__playbook__courses"
    )

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="arms")
    key = models.SlugField(max_length=50)
    name = models.CharField(max_length=100, blank=True)
    weight = models.DecimalField(max_digits=6, decimal_places=4)
    is_control = models.BooleanField(default=False)
    # The start of the arm's range of buckets depends on the order, so the order is stored.
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("experiment_id", "position", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("experiment", "key"),
                name="arm_key_once",
                violation_error_message=ARM_KEY_ONCE,
            ),
            models.UniqueConstraint(
                fields=("experiment", "position"),
                name="arm_position_once",
                violation_error_message=ARM_POSITION_ONCE,
            ),
            models.UniqueConstraint(
                fields=("experiment",),
                condition=Q(is_control=True),
                name="arm_one_control",
                violation_error_message=ARM_ONE_CONTROL,
            ),
            models.CheckConstraint(
                condition=Q(weight__gte=0, weight__lte=1),
                name="arm_weight_is_a_share",
                violation_error_message="A weight is a share. Write a number from 0 to 1.",
            ),
        ]

    def __str__(self) -> str:
        # In a list of choices, every experiment has an arm "control".
        is_loaded = Arm._meta.get_field("experiment").is_cached(self)
        return f"{self.own_name} of {self.experiment}" if is_loaded else self.own_name

    @property
    def own_name(self) -> str:
        """Return the name beside that of the experiment: the key where there is none."""
        return self.name or self.key


class Assignment(CourseScoped):
    """An enrollment's arm in an experiment: drawn once, never changed."""

    course_scope = through("enrollment__course")

    experiment = models.ForeignKey(
        Experiment, on_delete=models.PROTECT, related_name="assignments", db_index=False
    )
    arm = models.ForeignKey(
        Arm, on_delete=models.PROTECT, related_name="assignments", db_index=False
    )
    enrollment = models.ForeignKey(Enrollment, on_delete=models.PROTECT, related_name="assignments")
    unit_key = models.UUIDField(
        help_text="The enrollment's unit key at the draw. It stays after the learner is erased."
    )
    bucket = models.PositiveSmallIntegerField(
        help_text="The hash of seed and unit key, from 0 to 9999."
    )
    assigned_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("experiment", "enrollment"),
                name="assignment_once",
                violation_error_message="The enrollment already has an arm in this experiment.",
            ),
            models.CheckConstraint(
                condition=Q(bucket__gte=0, bucket__lte=9999),
                name="assignment_bucket_in_range",
                violation_error_message="A bucket is a whole number from 0 to 9999.",
            ),
        ]
        # For the first draw into each arm, which pages show.
        indexes: ClassVar = [
            models.Index(fields=("arm", "assigned_at"), name="assignment_by_arm"),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment} in the arm {self.arm.own_name}"


class DeliveryOutcomeKind(models.TextChoices):
    PLANNED = "planned", "planned: its time has not come"
    HANDED_OFF = "handed_off", "handed off"
    GHOST = "ghost", "would have been sent (control)"
    DROPPED = "dropped", "dropped"
    DEFERRED = "deferred", "deferred"
    EXPIRED = "expired", "expired"
    FAILED = "failed", "failed"
    IN_DOUBT = "in_doubt", "in doubt"


# The outcomes whose reason says why no message was sent, or not yet.
UNSENT = (
    DeliveryOutcomeKind.DROPPED,
    DeliveryOutcomeKind.DEFERRED,
    DeliveryOutcomeKind.EXPIRED,
    DeliveryOutcomeKind.FAILED,
)


class DeliveryOutcome(CourseScoped):
    """The outcome of one delivery to an assigned enrollment; for a control, of a ghost."""

    course_scope = through("assignment__enrollment__course")

    assignment = models.ForeignKey(
        Assignment, on_delete=models.PROTECT, related_name="delivery_outcomes"
    )
    delivery_key = models.UUIDField(unique=True)
    outcome = models.CharField(max_length=10, choices=DeliveryOutcomeKind.choices)
    reason = models.CharField(max_length=100, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(outcome__in=DeliveryOutcomeKind.values),
                name="delivery_outcome_is_known",
                violation_error_message=(
                    f"The outcome must be one of these: {', '.join(DeliveryOutcomeKind.values)}."
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.assignment}: {self.get_outcome_display()}"
