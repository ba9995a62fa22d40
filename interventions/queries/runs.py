"""The earlier runs on which the re-entry of a cadence depends."""

from collections.abc import Collection

from django.db.models import F

from activity.models import Enrollment
from interventions.models import Run


def last_runs(
    enrollment_ids: Collection[int], cadence_ids: Collection[int]
) -> dict[tuple[int, int], Run]:
    """Return the active run, else the last ended one, by enrollment and cadence. One query."""
    runs = Run.objects.filter(enrollment__in=enrollment_ids, cadence__in=cadence_ids)
    # An active run has no end. Ordered by status, "exited" would come before a later "finished".
    ended = F("ended_at").desc(nulls_first=True)
    last = runs.order_by("enrollment_id", "cadence_id", ended, "-started_at", "-pk")
    found = last.distinct("enrollment_id", "cadence_id")
    return {(run.enrollment_id, run.cadence_id): run for run in found}


def zone_of(enrollment: Enrollment) -> str:
    """Return the zone of the learner's days. Learner and course must be loaded."""
    return enrollment.learner.time_zone or enrollment.course.time_zone
