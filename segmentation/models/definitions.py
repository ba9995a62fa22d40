"""Playbooks, segments and their versions, as admins define them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from activity.models import SHARED, Course, CourseScoped, shared_unless, through


class RulesRevision(CourseScoped):
    """One row: a number that grows with every activation and edit of a segment.

    An edit locks the row, so numbers are committed in order. An evaluation records the number that
    it read (Due.rules_revision). So later changes are known exactly, without comparing clocks.
    """

    course_scope = SHARED

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
    EXCLUSIVE = "exclusive", "a learner is only in the first segment that matches, by priority"


class Playbook(CourseScoped):
    """Segments that belong together, and the courses for which they are kept."""

    course_scope = shared_unless("courses")

    key = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    mode = models.CharField(
        max_length=12, choices=PlaybookMode.choices, default=PlaybookMode.OVERLAPPING
    )
    courses = models.ManyToManyField(
        Course, blank=True, through="PlaybookCourse", related_name="playbooks"
    )
    # The RulesRevision number of the last change that could make anybody enter or leave.
    changed_revision = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("key",)
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(mode__in=PlaybookMode.values), name="playbook_mode_is_known"
            )
        ]

    def __str__(self) -> str:
        return self.named(self.name)


class PlaybookCourse(CourseScoped):
    """A course of a playbook, and which changes have been brought to the course's queue."""

    course_scope = through("course")

    playbook = models.ForeignKey(Playbook, on_delete=models.CASCADE, related_name="course_links")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="playbook_links")
    # The RulesRevision number at which the course was added. Null: not recorded yet, counts as now.
    # An enrollment that was last evaluated before this number gets the cause baseline, and no
    # message starts.
    added_revision = models.BigIntegerField(null=True, editable=False)
    # The last change of the playbook for which the course's Due rows were pulled. It is stored, so
    # that a course is evaluated even if the process dies after an edit.
    pulled_revision = models.BigIntegerField(default=-1, editable=False)
    # The number at which the course's norms were last renewed, which affects all its enrollments.
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


class Segment(CourseScoped):
    """A rule with its members, kept up to date. Change it only through segmentation.operations."""

    course_scope = shared_unless("playbook__courses")

    playbook = models.ForeignKey(Playbook, on_delete=models.PROTECT, related_name="segments")
    key = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    rule = models.JSONField()
    leave_rule = models.JSONField(
        null=True,
        blank=True,
        help_text="If this is empty, a member leaves when the rule is no longer true. "
        "Otherwise a member stays until this rule is true.",
    )
    priority = models.PositiveIntegerField(
        default=100,
        help_text="In an exclusive playbook, the segment with the lower number comes first.",
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
        help_text="Start cadences and draws also for learners who are in the segment at the "
        "activation or edit.",
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
        # Segments of different playbooks may have the same name. In a list of choices they must
        # differ.
        return self.named(self.name, otherwise=self.playbook.name)


class SegmentVersion(CourseScoped):
    """The rules of a segment in one version. Append only."""

    course_scope = shared_unless("segment__playbook__courses")

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
