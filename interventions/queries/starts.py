"""The cadences that an entry into a segment can start, and why they may not have started."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from experiments.models import Arm
from experiments.queries import arms_now, assignments_of
from interventions.models import Cadence, CadenceStatus, Run, Trigger
from interventions.queries.runs import last_runs
from segmentation.models import Transition

MOST = 10


@dataclass(frozen=True)
class Startable:
    """An active cadence of the segment, its last run, and the learner's arm in its experiment.

    The arm is the one that holds now: after the end, the protocol may give another than was drawn.
    """

    cadence: Cadence
    last: Run | None
    arm: Arm | None


def startable_cadences(entry: Transition) -> list[Startable]:
    """Return the active cadences that start on entering the segment, by priority.

    Three queries, and one for arms that were not drawn.
    """
    rows = Cadence.objects.filter(
        segment=entry.segment_id, trigger=Trigger.ENTER, status=CadenceStatus.ACTIVE
    )
    cadences = list(rows.select_related("arm__experiment").order_by("priority", "pk")[:MOST])
    enrollment_id = entry.enrollment_id
    runs = last_runs([enrollment_id], [cadence.pk for cadence in cadences])
    arms = _arms_now(enrollment_id)
    return [
        Startable(each, runs.get((enrollment_id, each.pk)), _arm(each, arms)) for each in cadences
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


def _arms_now(enrollment_id: int) -> dict[int, Arm]:
    """Return the arms that hold for the enrollment, by experiment."""
    drawn = assignments_of([enrollment_id])
    holding = arms_now(drawn)
    known = {each.arm_id: each.arm for each in drawn}
    others = {arm_id for arm_id in holding.values() if arm_id is not None} - known.keys()
    if others:
        known |= Arm.objects.in_bulk(others)
    return {
        each.experiment_id: known[arm_id]
        for each in drawn
        if (arm_id := holding[each.pk]) is not None
    }


def _arm(cadence: Cadence, arms: Mapping[int, Arm]) -> Arm | None:
    return None if cadence.arm is None else arms.get(cadence.arm.experiment_id)
