"""The cadences that an entry into a segment can start, and why they may not have started."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from experiments.models import Assignment
from experiments.queries import assignments_of
from interventions.models import Cadence, CadenceStatus, Run, Trigger
from interventions.queries.runs import last_runs
from segmentation.models import Transition

MOST = 10


@dataclass(frozen=True)
class Startable:
    """An active cadence of the segment, its last run, and the learner's arm in its experiment."""

    cadence: Cadence
    last: Run | None
    drawn: Assignment | None


def startable_cadences(entry: Transition) -> list[Startable]:
    """Return the active cadences that start on entering the segment, by priority.

    Three queries.
    """
    rows = Cadence.objects.filter(
        segment=entry.segment_id, trigger=Trigger.ENTER, status=CadenceStatus.ACTIVE
    )
    cadences = list(rows.select_related("arm__experiment").order_by("priority", "pk")[:MOST])
    enrollment_id = entry.enrollment_id
    runs = last_runs([enrollment_id], [cadence.pk for cadence in cadences])
    drawn = assignments_of([enrollment_id])
    return [
        Startable(each, runs.get((enrollment_id, each.pk)), _drawn(each, drawn))
        for each in cadences
    ]


def cadences_by_segment(segment_ids: Collection[int]) -> dict[int, list[Cadence]]:
    """Return the active cadences that start on entering each segment. One query."""
    rows = Cadence.objects.filter(
        segment__in=segment_ids, trigger=Trigger.ENTER, status=CadenceStatus.ACTIVE
    )
    found: dict[int, list[Cadence]] = {}
    for cadence in rows.order_by("priority", "pk"):
        found.setdefault(cadence.segment_id or 0, []).append(cadence)
    return found


def _drawn(cadence: Cadence, drawn: Sequence[Assignment]) -> Assignment | None:
    if cadence.arm is None:
        return None
    experiment_id = cadence.arm.experiment_id
    return next((each for each in drawn if each.experiment_id == experiment_id), None)
