"""What keeping segments up to date took, and when it failed: days of evaluations, and freezes."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import Course, CourseScoped, shared_unless, through
from segmentation.models.definitions import Segment


class EvaluationDay(CourseScoped):
    """The evaluations of a course on one of its local days.

    One evaluation reads all segments of the course, so nothing here belongs to one segment. The row
    is for staff to read. It is written after the transaction of each batch, and a crash in between
    loses the numbers of that batch.
    """

    course_scope = through("course")

    course = models.ForeignKey(
        Course, on_delete=models.CASCADE, related_name="evaluation_days", db_index=False
    )
    day = models.DateField()
    batches = models.PositiveIntegerField(default=0)
    evaluated = models.PositiveBigIntegerField(default=0, help_text="Enrollments, each time.")
    entered = models.PositiveBigIntegerField(default=0)
    left = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveIntegerField(
        default=0, help_text="Evaluations of one enrollment that failed and were delayed."
    )
    seconds = models.FloatField(default=0)
    slowest_seconds = models.FloatField(default=0, help_text="Of the slowest batch.")
    last_at = models.DateTimeField()
    error = models.TextField(blank=True, default="", help_text="Of the last failure.")

    class Meta:
        ordering = ("course_id", "-day")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("course", "day"), name="evaluation_day_once"),
        ]

    def __str__(self) -> str:
        return f"{self.course} on {self.day}"


class Freeze(CourseScoped):
    """The time in which a segment was frozen. `thawed_at` null means that it still is."""

    course_scope = shared_unless("segment__playbook__courses")

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="freezes")
    version = models.PositiveIntegerField(help_text="The version of the rules that failed.")
    error = models.TextField()
    frozen_at = models.DateTimeField()
    thawed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("segment_id", "-frozen_at", "-pk")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("segment",), condition=Q(thawed_at__isnull=True), name="freeze_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.segment} frozen at {self.frozen_at:%Y-%m-%d %H:%M %Z}"
