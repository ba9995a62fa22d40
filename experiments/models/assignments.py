"""The draws: strata with their next places, the arms of sections, and those of enrollments."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import CourseScoped, Enrollment, Section, shared_unless, through
from experiments.models.arms import Arm
from experiments.models.experiments import Experiment
from experiments.models.ledger import LedgerEntry

BUCKET = "The hash of seed and unit key, from 0 to 9999."
_BUCKETS = Q(bucket__gte=0, bucket__lte=9999)


class Stratum(CourseScoped):
    """A stratum of an experiment with the place of its next draw.

    The row is the mutex of the stratum: a draw locks it, takes the next places and moves it on.
    """

    course_scope = shared_unless(
        "experiment__segment__playbook__courses", "experiment__playbook__courses"
    )

    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="drawn_strata", db_index=False
    )
    key = models.CharField(max_length=500)
    drawn = models.PositiveIntegerField(default=0)
    # The next place follows from `drawn`, but only by counting all blocks from the first.
    block = models.PositiveIntegerField(default=0)
    offset = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("experiment_id", "key")
        verbose_name_plural = "strata"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("experiment", "key"),
                name="stratum_once",
                violation_error_message="The experiment already has this stratum.",
            ),
        ]

    def __str__(self) -> str:
        return self.key


class SharePeriod(CourseScoped):
    """The shares of the arms from one draw of an adaptive experiment on, until the next row.

    It is written before the first draw by its shares, in the same transaction, and never changed.
    """

    course_scope = shared_unless(
        "experiment__segment__playbook__courses", "experiment__playbook__courses"
    )

    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="share_periods", db_index=False
    )
    position = models.PositiveIntegerField(help_text="The number of the first draw, from 0.")
    at = models.DateTimeField()
    shares = models.JSONField(help_text="The share of each arm, by its key.")
    counts = models.JSONField(
        help_text="Learners with the outcome, and learners counted, by the key of the arm: what "
        "was known at the instant, and what the shares follow from."
    )
    entry = models.ForeignKey(
        LedgerEntry, null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ("experiment_id", "position")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("experiment", "position"),
                name="share_period_position_once",
                violation_error_message="The experiment already has shares from this draw on.",
            ),
        ]

    def __str__(self) -> str:
        return f"shares from draw {self.position + 1:,} on"


class SectionDraw(CourseScoped):
    """The arm of a section: drawn once, never changed. Its learners share the arm."""

    course_scope = through("section__course")

    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="section_draws", db_index=False
    )
    section = models.ForeignKey(Section, on_delete=models.PROTECT, related_name="draws")
    unit = models.CharField(
        max_length=210,
        help_text="The keys of course and section at the draw, which decide the bucket.",
    )
    arm = models.ForeignKey(Arm, on_delete=models.PROTECT, related_name="section_draws")
    stratum = models.ForeignKey(
        Stratum, on_delete=models.PROTECT, related_name="section_draws", db_index=False
    )
    position = models.PositiveIntegerField(help_text="The number of the draw in its stratum.")
    bucket = models.PositiveSmallIntegerField(help_text=BUCKET)
    size = models.PositiveIntegerField(help_text="The learners in the section at the draw.")
    at = models.DateTimeField()
    entry = models.ForeignKey(
        LedgerEntry, null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("experiment", "section"),
                name="section_draw_once",
                violation_error_message="The section already has an arm in this experiment.",
            ),
            models.UniqueConstraint(
                fields=("stratum", "position"),
                name="section_draw_position_once",
                violation_error_message="Another section has this position in the stratum.",
            ),
            models.CheckConstraint(
                condition=_BUCKETS,
                name="section_draw_bucket_in_range",
                violation_error_message="The bucket of a section is a whole number from 0 to 9999.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.unit} in the arm {self.arm.own_name}"


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
    bucket = models.PositiveSmallIntegerField(help_text=BUCKET)
    assigned_at = models.DateTimeField()
    stratum = models.ForeignKey(
        Stratum,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="assignments",
        db_index=False,
    )
    position = models.PositiveIntegerField(
        null=True, blank=True, help_text="The number of the draw in its stratum."
    )
    section_draw = models.ForeignKey(
        SectionDraw,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="assignments",
        db_index=False,
    )
    # The shares by which it was drawn, in an adaptive experiment.
    period = models.ForeignKey(
        SharePeriod,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="assignments",
        db_index=False,
    )
    # The learner's number, from which the exclusion layer's seed draws. Kept for the replay.
    layer_unit = models.BigIntegerField(null=True, blank=True, editable=False)
    entry = models.ForeignKey(
        LedgerEntry,
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("experiment", "enrollment"),
                name="assignment_once",
                violation_error_message="The enrollment already has an arm in this experiment.",
            ),
            models.UniqueConstraint(
                fields=("stratum", "position"),
                condition=Q(stratum__isnull=False),
                name="assignment_position_once",
                violation_error_message="Another enrollment has this position in the stratum.",
            ),
            models.CheckConstraint(
                condition=_BUCKETS,
                name="assignment_bucket_in_range",
                violation_error_message="A bucket is a whole number from 0 to 9999.",
            ),
            models.CheckConstraint(
                condition=Q(stratum__isnull=True, position__isnull=True)
                | Q(stratum__isnull=False, position__isnull=False),
                name="assignment_stratum_has_a_position",
                violation_error_message="A draw in blocks has both a stratum and a position.",
            ),
        ]
        indexes: ClassVar = [
            # For the first draw into each arm, which pages show.
            models.Index(fields=("arm", "assigned_at"), name="assignment_by_arm"),
            # For the draws that the ledger does not have yet.
            models.Index(
                fields=("experiment", "id"),
                name="assignment_unsealed",
                condition=Q(entry__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment} in the arm {self.arm.own_name}"
