"""Memberships, overrides, and the outbox of entries and leavings."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from activity.models import CourseScoped, Enrollment, through
from segmentation.models.definitions import Segment


class Membership(CourseScoped):
    """An enrollment's stay in a segment. `left_at` null means a current member."""

    course_scope = through("enrollment__course")

    segment = models.ForeignKey(
        Segment, on_delete=models.PROTECT, related_name="memberships", db_index=False
    )
    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    entered_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(help_text="The version of the segment's rules at entry.")
    signals = models.JSONField(default=dict, help_text="The rule's signals at entry.")

    class Meta:
        constraints: ClassVar = [
            # Enrollment first: an evaluation reads the memberships of a batch of enrollments.
            models.UniqueConstraint(
                fields=("enrollment", "segment"),
                condition=Q(left_at__isnull=True),
                name="membership_one_current",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=("enrollment", "entered_at"), name="membership_history"),
            # For sizes and pages of members. Past members would only make the index longer.
            models.Index(
                fields=("segment", "enrollment"),
                condition=Q(left_at__isnull=True),
                name="membership_current_of_segment",
            ),
            # For the page of past members, who may be few among many current members.
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


class Override(CourseScoped):
    """A member added or removed manually. `applied_at` null means not evaluated yet."""

    course_scope = through("enrollment__course")

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
    MANUAL = "manual", "manually"
    BASELINE = "baseline", "first evaluation"
    EDIT = "edit", "a rule, item, course or trait was edited"
    COURSE_OVER = "course_over", "the course is over for the learner"
    LATE = "late", "something the learner did, received long after"


class Transition(CourseScoped):
    """An entry or leaving in the outbox. It is written with its membership; react processes it.

    `starts` says whether it may start runs or draw arms. This is decided when the row is written.
    For an entry caused only by time, it is decided when its day is counted (WaitingEntry). An entry
    that may start nothing is written as processed. Otherwise a playbook installed for a million
    learners would keep react busy for an hour without need.
    """

    course_scope = through("enrollment__course")

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
            # For react's reads of a few enrollments. Until the table is analyzed, the planner would
            # scan all open transitions instead of using the index of the whole history.
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
