"""The ledger of an experiment: entries that are chained by their digests, and never changed."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from activity.models import CourseScoped, shared_unless
from experiments.models.experiments import Experiment


class EntryKind(models.TextChoices):
    PROTOCOL = "protocol", "the protocol, as it was locked"
    DRAWS = "draws", "draws"
    DEVIATION = "deviation", "a change after the start"
    SNAPSHOT = "snapshot", "the numbers of a report"
    STATE = "state", "coverage, end, winner or population, changed"


class LedgerEntry(CourseScoped):
    """One sealed part of what happened. Its digest covers its content and the digest before it."""

    course_scope = shared_unless(
        "experiment__segment__playbook__courses", "experiment__playbook__courses"
    )

    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="ledger", db_index=False
    )
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=9, choices=EntryKind.choices)
    # Canonical JSON as text: jsonb would not keep the characters that the digest covers.
    content = models.TextField()
    previous_sha256 = models.CharField(max_length=64, blank=True)
    sha256 = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        ordering = ("experiment_id", "position")
        verbose_name_plural = "ledger entries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=("experiment", "position"),
                name="ledger_entry_position_once",
                violation_error_message="The ledger already has an entry with this number.",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=EntryKind.values),
                name="ledger_entry_kind_is_known",
                violation_error_message=(
                    f"The kind of an entry is one of these: {', '.join(EntryKind.values)}."
                ),
            ),
            models.CheckConstraint(
                condition=Q(position=0, previous_sha256="")
                | (Q(position__gt=0) & ~Q(previous_sha256="")),
                name="ledger_entry_is_chained",
                violation_error_message="Every entry but the first names the digest before it.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.get_kind_display()}"
