"""Stop experiments, draw arms and record what became of deliveries."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from activity.models import Enrollment
from experiments.models import Assignment, DeliveryOutcomeKind, Experiment, ExperimentStatus
from experiments.plan import PlanError, read_plan
from experiments.randomize.hash import bucket_of
from experiments.starting import locked_experiment

# A hand-off has happened, and so has a ghost's: nothing that is learned later undoes it.
_FINAL = [DeliveryOutcomeKind.HANDED_OFF.value, DeliveryOutcomeKind.GHOST.value]

_RECORD = """
INSERT INTO experiments_deliveryoutcome AS kept (assignment_id, delivery_key, outcome, reason, at)
SELECT told.assignment_id, told.delivery_key, %(outcome)s, told.reason, %(at)s
FROM unnest(%(assignments)s::bigint[], %(keys)s::uuid[], %(reasons)s::text[])
    AS told (assignment_id, delivery_key, reason)
ON CONFLICT (delivery_key) DO UPDATE
    SET outcome = excluded.outcome, reason = excluded.reason, at = excluded.at
    WHERE kept.outcome <> ALL (%(final)s)
"""


class AssignedDelivery(NamedTuple):
    """A delivery of an assigned enrollment, and the reason for what became of it."""

    assignment_id: int
    delivery_key: UUID
    reason: str


@transaction.atomic
def stop_experiment(experiment_id: int, *, now: datetime) -> Experiment:
    """Draw nobody any more; who was drawn stays so. Raise PlanError for a draft."""
    experiment = locked_experiment(experiment_id)
    if experiment.status == ExperimentStatus.DRAFT:
        raise PlanError("The experiment was never started.")
    if experiment.status == ExperimentStatus.RUNNING:
        experiment.status = ExperimentStatus.STOPPED
        experiment.stopped_at = now
        experiment.save(update_fields=["status", "stopped_at"])
    return experiment


@transaction.atomic
def draw_arms(
    experiment_id: int, enrollment_ids: Collection[int], *, now: datetime
) -> dict[int, Assignment]:
    """Return the enrollments' assignments by enrollment, drawing those who have none yet.

    Empty where the experiment does not run; without those who are outside its coverage. Drawing
    again, also at the same moment, returns the first draw with its instant. At most six queries.
    """
    experiment = Experiment.objects.get(pk=experiment_id)
    if experiment.status != ExperimentStatus.RUNNING:
        return {}
    assignments = _assignments(experiment, enrollment_ids)
    missing = [each for each in enrollment_ids if each not in assignments]
    if missing and _draw(experiment, missing, now):
        assignments |= _assignments(experiment, missing)
    return assignments


def record_delivery_outcome(
    assignment_id: int, *, delivery_key: UUID, outcome: str, reason: str = "", at: datetime
) -> None:
    """Note what became of a delivery, as `record_delivery_outcomes` does of several."""
    record_delivery_outcomes(
        [AssignedDelivery(assignment_id, delivery_key, reason)], outcome=outcome, at=at
    )


def record_delivery_outcomes(
    deliveries: Sequence[AssignedDelivery], *, outcome: str, at: datetime
) -> None:
    """Note what became of deliveries; the caller's transaction is the one that changes them.

    A later outcome of the same delivery replaces the earlier, except that a hand-off and a ghost's
    hand-off stay. Raise ValueError for an unknown outcome.
    """
    known = DeliveryOutcomeKind(outcome).value
    if not deliveries:
        return
    assignments, keys, reasons = (list(column) for column in zip(*deliveries, strict=True))
    values: dict[str, Any] = {
        "assignments": assignments,
        "keys": keys,
        "reasons": reasons,
        "outcome": known,
        "at": at,
        "final": _FINAL,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, values)


def _assignments(experiment: Experiment, enrollment_ids: Collection[int]) -> dict[int, Assignment]:
    found = Assignment.objects.filter(experiment=experiment, enrollment__in=enrollment_ids)
    return {each.enrollment_id: each for each in found.select_related("arm")}


def _draw(experiment: Experiment, enrollment_ids: Collection[int], now: datetime) -> bool:
    """Write a draw for each enrollment inside the coverage, and return whether there are any."""
    # Drawn from the locked plan: an arm or a seed edited since the start changes nobody.
    plan = read_plan(experiment.plan)
    draws = plan.draw(coverage=float(experiment.coverage))
    arms = dict(experiment.arms.values_list("key", "pk"))
    rows = []
    # In one order: two workers with the same enrollments wait for each other and do not deadlock.
    units = Enrollment.objects.filter(pk__in=enrollment_ids).order_by("pk")
    for enrollment_id, unit_key in units.values_list("pk", "unit_key"):
        bucket = bucket_of(str(unit_key), seed=plan.seed)
        arm_key = draws.arm_at(bucket)
        if arm_key is not None:
            rows.append(
                Assignment(
                    experiment=experiment,
                    arm_id=arms[arm_key],
                    enrollment_id=enrollment_id,
                    unit_key=unit_key,
                    bucket=bucket,
                    assigned_at=now,
                )
            )
    # Two workers may come this far for one enrollment. The second waits for the first to commit,
    # inserts nothing, and then reads the row of the first.
    Assignment.objects.bulk_create(rows, ignore_conflicts=True)
    return bool(rows)
