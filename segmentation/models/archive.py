"""Old entries and leavings, in tables by month."""

from typing import ClassVar

from django.db import models

from activity.models import CourseScoped, Enrollment, through
from segmentation.models.definitions import Segment
from segmentation.models.members import Transition, TransitionCause, TransitionKind


class ArchivedTransition(CourseScoped):
    """A processed transition that was moved here. Its id is the one that it had.

    The table is partitioned by the month of `occurred_at`, so a unique key must hold that column.
    """

    course_scope = through("enrollment__course")

    id = models.BigIntegerField(primary_key=True)
    # PostgreSQL itself deletes the rows of an enrollment that is deleted.
    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    # Only the table of enrollments is locked while a month is made or dropped, not those that every
    # evaluation reads.
    segment = models.ForeignKey(
        Segment, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=5, choices=TransitionKind.choices)
    cause = models.CharField(max_length=11, choices=TransitionCause.choices)
    starts = models.BooleanField()
    version = models.PositiveIntegerField()
    occurred_at = models.DateTimeField()
    processed_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=("occurred_at",), name="archived_transition_at"),
            models.Index(fields=("enrollment", "id"), name="archived_transition_of"),
            models.Index(fields=("segment",), name="archived_transition_segment"),
        ]

    def __str__(self) -> str:
        return f"{self.enrollment} {self.get_kind_display()} {self.segment}"

    def as_transition(self) -> Transition:
        """Return the row as the outbox had it, for the sentences of all pages. Not to be saved."""
        names = {field.attname for field in Transition._meta.concrete_fields}
        own = {field.attname for field in self._meta.concrete_fields}
        found = Transition(**{name: getattr(self, name) for name in names & own})
        for name, row in self._state.fields_cache.items():
            setattr(found, name, row)
        return found
