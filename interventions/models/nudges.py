"""Nudges: what is typed on the page that makes a cadence step by step."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from activity.models import CourseScoped, shared_unless
from experiments.models import Experiment
from interventions.models.cadences import Cadence
from segmentation.models import Segment


class Nudge(CourseScoped):
    """The answers of one nudge as they were typed, valid or not, and what was made of them.

    `version` grows with each save. `tab` is the page in the browser that saved last: a save from
    another page with an older version becomes a nudge of its own, so that no text is lost.
    """

    course_scope = shared_unless("segment__playbook__courses")

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200, blank=True, default="")
    answers = models.JSONField(default=dict)
    segment = models.ForeignKey(
        Segment, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    version = models.PositiveIntegerField(default=0)
    tab = models.CharField(max_length=40, blank=True, default="")
    saved_at = models.DateTimeField()
    saved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    tested_at = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField(null=True, blank=True)
    cadence = models.OneToOneField(
        Cadence, null=True, blank=True, on_delete=models.SET_NULL, related_name="nudge"
    )
    experiment = models.OneToOneField(
        Experiment, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-saved_at", "-id")
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(cadence__isnull=True) | Q(made_at__isnull=False),
                name="nudge_made_has_an_instant",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=("saved_at",), name="nudge_drafts", condition=Q(made_at__isnull=True)
            ),
            models.Index(fields=("saved_by", "tested_at"), name="nudge_by_test"),
        ]

    def __str__(self) -> str:
        return self.name or "a nudge without a name"
