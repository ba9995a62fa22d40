"""The state of the installation: the last run of each stage, and its result."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import SITE_ONLY, CourseScoped


class StageRun(CourseScoped):
    """The last run of a stage on a host. All instants are from the database's clock.

    Only config.running.stages writes it.
    """

    course_scope = SITE_ONLY

    stage = models.CharField(max_length=20)
    host = models.CharField(max_length=255)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    # The end of the last successful run. A failed or refused run does not change it.
    succeeded_at = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict)
    # The sum of the counts of all successful runs.
    totals = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")
    clock_difference = models.FloatField(
        default=0, help_text="Seconds by which the host's clock is ahead of the database's."
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=("stage", "host"), name="stage_run_once_a_host"),
            models.CheckConstraint(
                condition=Q(succeeded_at__isnull=True) | Q(ended_at__isnull=False),
                name="stage_run_succeeded_has_an_end",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stage} on {self.host}"
