"""Waiting entries that only passing time caused, and surges: too many of them on one day."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from activity.models import Course, CourseScoped, Enrollment, through
from segmentation.models.definitions import Segment
from segmentation.models.members import Transition


class SurgeState(models.TextChoices):
    COUNTING = "counting", "counted, and no surge so far"
    HELD = "held", "held: a surge"
    LET_IN = "let_in", "let in by staff"
    DISCARDED = "discarded", "discarded by staff: members, but nothing starts for them"


class Surge(CourseScoped):
    """The count of entries into a segment that only time caused on a local day of a course.

    The entries of a day are counted before any of them may start anything. Above a share of the
    course they are held, and staff decide about all entries of that day.
    """

    course_scope = through("course")

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="surges")
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="surges")
    day = models.DateField()
    state = models.CharField(max_length=9, choices=SurgeState.choices, default=SurgeState.COUNTING)
    entered = models.PositiveIntegerField(default=0)
    of = models.PositiveIntegerField(
        default=0, help_text="The enrollments in scope when the entries were counted."
    )
    held_at = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-pk",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("segment", "course", "day"), name="surge_once_a_day"),
            models.CheckConstraint(
                condition=Q(state__in=SurgeState.values), name="surge_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(state="counting", held_at__isnull=True, decided_at__isnull=True)
                | Q(state="held", held_at__isnull=False, decided_at__isnull=True)
                | Q(
                    state__in=("let_in", "discarded"),
                    held_at__isnull=False,
                    decided_at__isnull=False,
                ),
                name="surge_is_held_before_it_is_decided",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entered} of {self.of} into {self.segment} on {self.day}"


class WaitingEntry(CourseScoped):
    """An entry caused only by time. Its transition may start nothing until its day is counted.

    Its membership is current. The evaluation that ends the membership deletes the row.
    """

    course_scope = through("course")

    transition = models.OneToOneField(
        Transition, primary_key=True, on_delete=models.CASCADE, related_name="waiting"
    )
    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="+", db_index=False)
    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    entered_at = models.DateTimeField()
    is_counted = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "waiting entries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("enrollment", "segment"), name="waiting_entry_once_a_segment"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=("course", "segment", "day"), name="waiting_entry_of_surge"),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment} waits to start {self.segment}"
