"""Experiments with their designs, and the layers in which they exclude each other."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DecimalRangeField, RangeOperators
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import DecimalField, ExpressionWrapper, F, Func, Q

from activity.models import CourseScoped, shared_unless
from experiments.design import (
    AFTERWARDS,
    ENROLLMENT,
    HASH,
    KEEP,
    METHODS,
    SECTION_RULES,
    UNITS,
    Adapting,
)
from experiments.models.analyses import PlannedAnalysis
from experiments.models.layers import ExclusionLayer, random_seed
from experiments.models.states import BlockSizes, Ending, ExperimentStatus
from segmentation.models import Playbook, Segment

LAYER_OVERLAPS = (
    "Another experiment of the layer has a part of this range. Choose a range that is still free."
)


def _own_range() -> Func:
    """Return the range of the layer as one range of numbers that no other layer shares.

    An exclusion constraint over layer and range would need the extension btree_gist, which the
    embedded server lacks. Layer 3 has the numbers from 3 to 4, without 4.
    """
    number = DecimalField(max_digits=25, decimal_places=4)
    bounds = [ExpressionWrapper(F("layer") + F(side), output_field=number) for side in _SIDES]
    return Func(*bounds, function="numrange", output_field=DecimalRangeField())


_SIDES = ("layer_start", "layer_end")


class _RangesConstraint(ExclusionConstraint):
    """The constraint with a check that forms can make: they hold no status, but the row does."""

    def validate(
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: Iterable[str] | None = None,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        """Raise ValidationError if the range overlaps another one."""
        fields = set(exclude or ()) - {"status"}
        super().validate(model, instance, exclude=fields, using=using)

    def deconstruct(self) -> Any:
        """Return it as the constraint that the database has."""
        _, args, kwargs = super().deconstruct()
        return "django.contrib.postgres.constraints.ExclusionConstraint", args, kwargs


SEED_ONCE = (
    "Another experiment has this seed, so both would draw the same learners into the same arms. "
    "Write another text."
)


def _choices(words: dict[str, str]) -> list[tuple[str, str]]:
    return list(words.items())


class Experiment(PlannedAnalysis, CourseScoped):
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
    unit = models.CharField(max_length=12, choices=_choices(UNITS), default=ENROLLMENT)
    method = models.CharField(
        max_length=12,
        choices=_choices(METHODS),
        default=HASH,
        verbose_name="how they are drawn",
        help_text="Balanced blocks keep the arms of a small course equally large, also within each "
        "stratum. Draw whole sections if learners of one class would see each other's messages. An "
        "adaptive draw finds the best arm sooner, but says less exactly how much better it is. It "
        "follows and compares only what a learner has done or not, and no numbers such as "
        "attempts.",
    )
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
    strata = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="For balanced blocks: up to four lines, such as “course”, “trait region”, "
        "“trait studied_credits in 3 parts” or “active_days 7 in 2 parts”. The arms are balanced "
        "among learners who are alike in all of them. The parts of a number are fixed at the "
        "start. Learners without a value are balanced among themselves.",
    )
    block_sizes = models.CharField(
        max_length=8,
        choices=BlockSizes.choices,
        default=BlockSizes.VARYING,
        db_default=BlockSizes.VARYING,
        help_text="For balanced blocks, and for sections that come after the start.",
    )
    section_rule = models.CharField(
        max_length=7,
        choices=_choices(SECTION_RULES),
        default=KEEP,
        db_default=KEEP,
        verbose_name="learners who change section or sit in two",
        help_text="Only where whole sections are drawn.",
    )
    burn_in = models.PositiveIntegerField(
        default=Adapting.burn_in,
        db_default=Adapting.burn_in,
        verbose_name="learners before the shares change",
        help_text="Until the outcomes of so many learners are known, the weights of the arms "
        "draw. At least 20; empty means 60.",
    )
    share_batch = models.PositiveIntegerField(
        default=Adapting.batch,
        db_default=Adapting.batch,
        verbose_name="learners between two changes",
        help_text="Learners are compared only with those drawn by the same shares, so small "
        "batches cost precision. At least 20; empty means 40.",
    )
    share_floor = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        default=Decimal("0.1"),
        db_default=Decimal("0.1"),
        verbose_name="smallest share of an arm",
        help_text="The control and every other arm keep at least this share, so that they can "
        "still be compared. At least 0.05; empty means 0.1.",
    )
    layer = models.ForeignKey(
        ExclusionLayer,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="experiments",
        db_index=False,
        verbose_name="exclusion layer",
        help_text="A learner is in one experiment of a layer at most, over all courses. Leave it "
        "empty if the experiment may share its learners with any other.",
    )
    layer_start = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        null=True,
        blank=True,
        verbose_name="from",
        help_text="The part of the layer's learners, as shares: from 0 to 0.5 is its first half.",
    )
    layer_end = models.DecimalField(
        max_digits=5, decimal_places=4, null=True, blank=True, verbose_name="to"
    )
    excludes_reached = models.BooleanField(
        default=False,
        db_default=False,
        verbose_name="leave out learners who were already reached",
        help_text="Learners to whom any message was sent before the draw do not take part.",
    )
    ends_at = models.DateTimeField(
        null=True,
        blank=True,
        verbose_name="end date",
        help_text="Nobody is drawn from then on. Leave it empty to stop the experiment yourself.",
    )
    most_learners = models.PositiveIntegerField(
        null=True,
        blank=True,
        verbose_name="end with this many learners",
        help_text="The draw of the last one ends the experiment.",
    )
    most_sections = models.PositiveIntegerField(
        null=True,
        blank=True,
        verbose_name="end with this many sections",
        help_text="Further sections are not drawn, but learners still join the drawn ones.",
    )
    afterwards = models.CharField(
        max_length=7,
        choices=_choices(AFTERWARDS),
        default=KEEP,
        db_default=KEEP,
        verbose_name="after the end",
        help_text="The report always compares the arms as they were drawn.",
    )
    afterwards_arm = models.CharField(
        max_length=50,
        blank=True,
        default="",
        db_default="",
        verbose_name="the arm for everybody",
        help_text="The key of the arm, if everybody gets one arm after the end.",
    )
    status = models.CharField(
        max_length=8, choices=ExperimentStatus.choices, default=ExperimentStatus.DRAFT
    )
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(
        max_length=8, choices=Ending.choices, blank=True, default="", db_default=""
    )
    # The key of the arm that the control gets after the end, once staff have read the report.
    winner = models.CharField(max_length=50, blank=True, default="", db_default="", editable=False)
    # It was made of a file of a ledger, for proof alone. The courses around it are stand-ins, so
    # nothing more is noted in its ledger.
    is_restored = models.BooleanField(default=False, db_default=False, editable=False)
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
                condition=Q(share_floor__gte=0, share_floor__lte=1),
                name="experiment_floor_is_a_share",
                violation_error_message="The smallest share is a share. Write a number from 0 to "
                "1, such as 0.1.",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ExperimentStatus.values),
                name="experiment_status_is_known",
                violation_error_message=(
                    f"The status must be one of these: {', '.join(ExperimentStatus.values)}."
                ),
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "checked"])
                | (Q(started_at__isnull=False) & ~Q(protocol="")),
                name="experiment_started_has_a_protocol",
                violation_error_message="Use the start action, which locks the protocol.",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["stopped", "archived"]) | Q(stopped_at__isnull=False),
                name="experiment_stopped_has_an_end",
                violation_error_message=(
                    "Stop the experiment with its stop action, which records the time."
                ),
            ),
            models.CheckConstraint(
                condition=Q(ended_because__in=["", *Ending.values]),
                name="experiment_ending_is_known",
                violation_error_message=(
                    f"The reason for the end is one of these: {', '.join(Ending.values)}."
                ),
            ),
            models.CheckConstraint(
                condition=Q(method="cluster", unit="section")
                | (~Q(method="cluster") & ~Q(unit="section")),
                name="experiment_sections_are_drawn_whole",
                violation_error_message="Whole sections need the method that draws sections.",
            ),
            models.CheckConstraint(
                condition=Q(layer__isnull=True, layer_start__isnull=True, layer_end__isnull=True)
                | Q(
                    # Compared with null, the rest would be unknown, which a constraint lets pass.
                    layer__isnull=False,
                    layer_start__isnull=False,
                    layer_end__isnull=False,
                    layer_start__gte=0,
                    layer_start__lt=F("layer_end"),
                    layer_end__lte=1,
                ),
                name="experiment_layer_has_a_range",
                violation_error_message="Choose a layer and a range in it, such as 0 to 0.5, or "
                "neither.",
            ),
            _RangesConstraint(
                name="experiment_layer_ranges_are_disjoint",
                expressions=[(_own_range(), RangeOperators.OVERLAPS)],
                condition=Q(layer__isnull=False) & ~Q(status="archived"),
                violation_error_message=LAYER_OVERLAPS,
            ),
        ]

    def __str__(self) -> str:
        return self.named(self.name)
