"""Pauses of sending: the current switch and the history."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from activity.models import SHARED, CourseScoped, Learner, shared_unless, through
from common.dates import instant_text
from interventions.models.cadences import Cadence
from interventions.models.field_checks import FieldCheckedModel, check


class SitePause(FieldCheckedModel):
    """The switch that pauses all sending. The table has one row."""

    course_scope = SHARED

    id = models.SmallIntegerField(primary_key=True, default=1)
    paused = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            check(
                "site_pause_is_one_row",
                Q(id=1),
                at="id",
                sentence="The switch already exists. Change the existing one.",
            )
        ]

    def __str__(self) -> str:
        return "all sending is paused" if self.paused else "sending"


class _Stretch(CourseScoped):
    """The time of a pause: since when, by whom and why, and until when.

    Staff names are stored as text, so that they remain when the account is deleted.
    """

    reason = models.CharField(max_length=300, blank=True, default="")
    began_at = models.DateTimeField()
    began_by = models.CharField(max_length=150, blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        abstract = True

    @property
    def circumstances(self) -> str:
        """Return since when, by whom and why."""
        by = f" by {self.began_by}" if self.began_by else ""
        ended_by = f" by {self.ended_by}" if self.ended_by else ""
        until = f" until {self._say(self.ended_at)}{ended_by}" if self.ended_at else ""
        why = f": {self.reason}" if self.reason else ""
        return f"since {self._say(self.began_at)}{by}{until}{why}"

    def _say(self, at: datetime) -> str:
        return instant_text(at, zone=self.shown_zone)


class Pause(_Stretch):
    """One pause of a cadence, or of all sending if empty: since when, by whom and why.

    Dispatch reads only the switches, SitePause.paused and Cadence.paused. The operations write
    switch and history in one transaction.
    """

    course_scope = shared_unless("cadence__segment__playbook__courses")

    cadence = models.ForeignKey(
        Cadence, null=True, blank=True, on_delete=models.CASCADE, related_name="pauses"
    )

    class Meta:
        ordering = ("-began_at", "-id")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("cadence",),
                condition=Q(ended_at__isnull=True),
                nulls_distinct=False,
                name="pause_one_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("began_at")),
                name="pause_ends_after_it_began",
            ),
        ]

    def __str__(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """Return what is or was paused, since when, by whom and why."""
        what = f"the cadence “{self.cadence}”" if self.cadence else "all sending"
        return f"{what} {'was' if self.ended_at else 'is'} paused {self.circumstances}"


class LearnerPause(_Stretch):
    """One pause of all messages to a learner, in all courses. The pause without an end is current.

    Dispatch reads the current pause itself, so there is no switch beside it.
    """

    course_scope = through("learner__enrollments__course")

    learner = models.ForeignKey(
        Learner, on_delete=models.CASCADE, related_name="pauses", db_index=False
    )

    class Meta:
        ordering = ("-began_at", "-id")
        constraints: ClassVar = [
            # Dispatch looks for a learner's current pause by this index.
            models.UniqueConstraint(
                fields=("learner",),
                condition=Q(ended_at__isnull=True),
                name="learner_pause_one_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("began_at")),
                name="learner_pause_ends_after_it_began",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=("learner", "began_at"), name="learner_pause_history"),
        ]

    def __str__(self) -> str:
        return f"messages to {self.learner} {'were' if self.ended_at else 'are'} paused"
