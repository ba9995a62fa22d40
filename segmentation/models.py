"""Segment definitions, who is a member since when, and the outbox of entries and leavings."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from activity.models import Course, Enrollment


class RulesRevision(models.Model):
    """One row: a number that grows with every activation and edit of a segment.

    An edit takes the row lock, so numbers are committed in order; an evaluation notes the number it
    read (Due.rules_revision). What changed since is then known exactly, without comparing clocks.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(id=1), name="rules_revision_is_one_row")
        ]

    def __str__(self) -> str:
        return str(self.number)


class PlaybookMode(models.TextChoices):
    OVERLAPPING = "overlapping", "a learner may be in several segments"
    EXCLUSIVE = "exclusive", "a learner is in the first that fits, by priority"


class Playbook(models.Model):
    """Segments that belong together, and the courses they are kept for."""

    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    mode = models.CharField(
        max_length=12, choices=PlaybookMode.choices, default=PlaybookMode.OVERLAPPING
    )
    courses = models.ManyToManyField(
        Course, blank=True, through="PlaybookCourse", related_name="playbooks"
    )
    # The RulesRevision number of the last change that could move anybody in or out.
    changed_revision = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("key",)
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(mode__in=PlaybookMode.values), name="playbook_mode_is_known"
            )
        ]

    def __str__(self) -> str:
        return self.name


class PlaybookCourse(models.Model):
    """A course that a playbook is kept for, and which of its changes have reached the queue."""

    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="course_links")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="playbook_links")
    # The RulesRevision number at which the course was added; null: not noted yet, counts as now.
    # An enrollment last evaluated before it is met for the first time: baseline, no messages.
    added_revision = models.BigIntegerField(null=True, editable=False)
    # Up to which of the playbook's changes the course's Due rows were pulled. Kept in the database,
    # so that a process that dies after an edit cannot leave a course unevaluated.
    pulled_revision = models.BigIntegerField(default=-1, editable=False)
    # The number at which the course's norms were last renewed, which concerns everybody in it.
    norms_revision = models.BigIntegerField(default=-1, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("playbook", "course"), name="playbook_course_once")
        ]

    def __str__(self) -> str:
        return f"{self.playbook} for {self.course}"


class SegmentStatus(models.TextChoices):
    DRAFT = "draft", "draft: not evaluated yet"
    ACTIVE = "active", "active"
    FROZEN = "frozen", "frozen: its rule failed, members stay as they are"
    ARCHIVED = "archived", "archived"


class Segment(models.Model):
    """A rule that says who is in, kept true. Changed only through segmentation.operations."""

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="segments")
    key = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    rule = models.JSONField()
    leave_rule = models.JSONField(
        null=True,
        blank=True,
        help_text="Empty: a member leaves when the rule is no longer true. "
        "Else: a member stays until this is true.",
    )
    priority = models.PositiveIntegerField(
        default=100, help_text="The lower number wins in an exclusive playbook."
    )
    version = models.PositiveIntegerField(default=1)
    status = models.CharField(
        max_length=10, choices=SegmentStatus.choices, default=SegmentStatus.DRAFT
    )
    # The RulesRevision number of the last activation, and of the last activation or edit.
    activated_revision = models.BigIntegerField(null=True, blank=True, editable=False)
    changed_revision = models.BigIntegerField(null=True, blank=True, editable=False)
    include_present = models.BooleanField(
        default=False,
        verbose_name="also those already in",
        help_text="Start cadences and draws also for those who are in at the activation or edit.",
    )
    error = models.TextField(blank=True, default="", editable=False)

    class Meta:
        ordering = ("playbook_id", "priority", "key")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("playbook", "key"), name="segment_key_once_a_playbook"),
            models.CheckConstraint(
                condition=Q(status__in=SegmentStatus.values), name="segment_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=("draft", "archived")) | Q(changed_revision__isnull=False),
                name="segment_active_has_a_revision",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SegmentVersion(models.Model):
    """What a segment's rules were, version by version. Append only."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    rule = models.JSONField()
    leave_rule = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("segment_id", "-version")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("segment", "version"), name="segment_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.segment} v{self.version}"


class Membership(models.Model):
    """An enrollment's stay in a segment. `left_at` null: still in."""

    segment = models.ForeignKey(
        Segment, on_delete=models.PROTECT, related_name="memberships", db_index=False
    )
    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    entered_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(help_text="Of the segment's rule, at entry.")
    signals = models.JSONField(default=dict, help_text="What the rule's signals were at entry.")

    class Meta:
        constraints: ClassVar = [
            # Enrollment first: the evaluation reads what a batch of enrollments holds.
            models.UniqueConstraint(
                fields=("enrollment", "segment"),
                condition=Q(left_at__isnull=True),
                name="membership_one_current",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=("enrollment", "entered_at"), name="membership_history"),
            # Sizes and pages of members; who has left would only make it longer.
            models.Index(
                fields=("segment", "enrollment"),
                condition=Q(left_at__isnull=True),
                name="membership_current_of_segment",
            ),
            # The page of those who left: they may be few among very many who are in.
            models.Index(
                fields=("segment", "id"),
                condition=Q(left_at__isnull=False),
                name="membership_past_of_segment",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment} in {self.segment}"


class OverrideKind(models.TextChoices):
    ADDED = "added", "always in"
    REMOVED = "removed", "never in"


class Override(models.Model):
    """A member added or removed by hand. `applied_at` null: not evaluated yet."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="overrides")
    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="segment_overrides"
    )
    kind = models.CharField(max_length=8, choices=OverrideKind.choices)
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("segment", "enrollment"), name="override_once"),
            models.CheckConstraint(
                condition=Q(kind__in=OverrideKind.values), name="override_kind_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment}, {self.get_kind_display()} {self.segment}"


class TransitionKind(models.TextChoices):
    ENTER = "enter", "entered"
    LEAVE = "leave", "left"


class TransitionCause(models.TextChoices):
    EVENT = "event", "something the learner did"
    TIME = "time", "time passed"
    MANUAL = "manual", "by hand"
    BASELINE = "baseline", "first evaluation"
    EDIT = "edit", "a rule, item, course or trait was edited"
    COURSE_OVER = "course_over", "the course is over for the learner"
    LATE = "late", "something the learner did, received long after"


class Transition(models.Model):
    """The outbox: an entry or a leaving, written with its membership, processed once by react.

    `starts` says whether it may start runs or draw arms; it is decided when it is written. An entry
    that may not is written as processed: a playbook installed for a million would keep react busy
    for an hour with nothing to do.
    """

    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="transitions", db_index=False
    )
    segment = models.ForeignKey(
        Segment, on_delete=models.PROTECT, related_name="transitions", db_index=False
    )
    kind = models.CharField(max_length=5, choices=TransitionKind.choices)
    cause = models.CharField(max_length=11, choices=TransitionCause.choices)
    starts = models.BooleanField()
    version = models.PositiveIntegerField()
    occurred_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=TransitionKind.values), name="transition_kind_is_known"
            ),
            models.CheckConstraint(
                condition=Q(cause__in=TransitionCause.values), name="transition_cause_is_known"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("next_attempt_at", "enrollment"),
                condition=Q(processed_at__isnull=True),
                name="transition_unprocessed",
            ),
            # For react's reads of some enrollments: until the table is analyzed, the planner would
            # rather walk through all that waits than use the index of the whole history.
            models.Index(
                fields=("enrollment", "id"),
                condition=Q(processed_at__isnull=True),
                name="transition_to_react",
            ),
            models.Index(fields=("enrollment", "id"), name="transition_of_enrollment"),
            models.Index(fields=("segment", "id"), name="transition_of_segment"),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment} {self.get_kind_display()} {self.segment}"


class Norms(models.Model):
    """A course's norms on one local day, computed from what occurred before its midnight."""

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="norms")
    day = models.DateField()
    # {module item id: median seconds from first touch to completion, at least one hour each}
    module_medians = models.JSONField(default=dict)
    # Sorted ascending: the relative pace of each enrollment with a completed module.
    paces = models.JSONField(default=list)
    # The ids of the activities that somebody had completed: only those can be owed.
    completed_items = models.JSONField(default=list)
    computed_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = "norms"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("course", "day"), name="norms_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.course} on {self.day}"
