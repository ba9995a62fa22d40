"""The outcomes of deliveries to assigned enrollments."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import CourseScoped, through
from experiments.models.assignments import Assignment


class DeliveryOutcomeKind(models.TextChoices):
    PLANNED = "planned", "planned: its time has not come"
    HANDED_OFF = "handed_off", "handed off"
    GHOST = "ghost", "would have been sent (control)"
    DROPPED = "dropped", "dropped"
    DEFERRED = "deferred", "deferred"
    EXPIRED = "expired", "expired"
    FAILED = "failed", "failed"
    IN_DOUBT = "in_doubt", "in doubt"


# The outcomes whose reason says why no message was sent, or not yet.
UNSENT = (
    DeliveryOutcomeKind.DROPPED,
    DeliveryOutcomeKind.DEFERRED,
    DeliveryOutcomeKind.EXPIRED,
    DeliveryOutcomeKind.FAILED,
)


class DeliveryOutcome(CourseScoped):
    """The outcome of one delivery to an assigned enrollment; for a control, of a ghost."""

    course_scope = through("assignment__enrollment__course")

    assignment = models.ForeignKey(
        Assignment, on_delete=models.PROTECT, related_name="delivery_outcomes"
    )
    delivery_key = models.UUIDField(unique=True)
    outcome = models.CharField(max_length=10, choices=DeliveryOutcomeKind.choices)
    reason = models.CharField(max_length=100, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(outcome__in=DeliveryOutcomeKind.values),
                name="delivery_outcome_is_known",
                violation_error_message=(
                    f"The outcome must be one of these: {', '.join(DeliveryOutcomeKind.values)}."
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.assignment}: {self.get_outcome_display()}"
