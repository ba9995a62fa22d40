"""What was usual in a course on a day."""

from typing import ClassVar

from django.db import models

from activity.models import Course


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
