"""Start an experiment: the one place that sees both experiments and cadences."""

from datetime import datetime

from django.db import transaction

from experiments import operations
from experiments.models import Experiment, ExperimentStatus
from experiments.queries import courses_of
from experiments.report import stand_still
from experiments.report_text import hindrances
from interventions.errors import InterventionError
from interventions.models import Cadence, CadenceStatus, Trigger
from interventions.queries.populations import lock_segments, population_segments
from segmentation.operations import announce_members, lock_members


@transaction.atomic
def start_experiment(experiment_id: int, *, now: datetime, draw_present: bool = True) -> Experiment:
    """Start the experiment; `draw_present` takes in those who are in its segments already.

    Raise InterventionError while a cadence without an arm starts in one of its segments or where
    the clocks of all its courses stand still, and experiments.plan.PlanError where the experiment
    itself cannot be started.
    """
    _check_a_clock_runs(experiment_id)
    segment_ids = population_segments(experiment_id)
    # All Due rows first and in one order, as ingest takes them: segment by segment, or after the
    # experiment, the two would wait for each other.
    present = lock_members(segment_ids) if draw_present else []
    # A cadence that is saved at this moment takes the same locks.
    lock_segments(segment_ids)
    _check_no_cadence_for_everybody(segment_ids)
    started = operations.start_experiment(experiment_id, now=now)
    if draw_present:
        for segment_id in segment_ids:
            announce_members(segment_id, now=now, among=present)
    return started


def _check_a_clock_runs(experiment_id: int) -> None:
    # A stopped clock never runs again and a start is never taken back: the experiment would be
    # locked for good with nobody in it. As a draft it can still be moved to another population.
    experiment = Experiment.objects.get(pk=experiment_id)
    courses = courses_of(experiment)
    if experiment.status == ExperimentStatus.DRAFT and stand_still(courses):
        raise InterventionError(
            f"{' '.join(hindrances(courses))} It stays a draft: choose a segment or playbook of a "
            "course whose clock runs."
        )


def _check_no_cadence_for_everybody(segment_ids: list[int]) -> None:
    cadence = (
        Cadence.objects.filter(
            segment__in=segment_ids,
            status=CadenceStatus.ACTIVE,
            trigger=Trigger.ENTER,
            arm__isnull=True,
        )
        .select_related("segment")
        .first()
    )
    if cadence is not None:
        raise InterventionError(
            f"The cadence '{cadence}' is for everybody who enters the segment "
            f"'{cadence.segment}': it would message the control learners too. Give it an arm or "
            "archive it, then start the experiment."
        )
