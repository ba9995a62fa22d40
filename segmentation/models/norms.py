"""The stored norms of a course on a day."""

from typing import ClassVar

from django.db import models

from activity.models import Course, CourseScoped, through


class Norms(CourseScoped):
    """A course's norms on one local day, computed from events before the midnight of that day."""

    course_scope = through("course")

    course = models.ForeignKey(Course, on_delete=models.CASCADE, related_name="norms")
    day = models.DateField()
    # The fields of NormsValues by name.
    figures = models.JSONField()
    computed_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = "norms"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("course", "day"), name="norms_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.course} on {self.day}"
