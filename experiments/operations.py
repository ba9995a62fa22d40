"""Draft and stop experiments, draw arms and record the outcomes of deliveries."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from activity.models import Enrollment
from experiments.models import Arm, Assignment, DeliveryOutcomeKind, Experiment, ExperimentStatus
from experiments.protocol import ProtocolError, read_protocol
from experiments.randomize.hash import bucket_of_many
from experiments.starting import locked_experiment
from segmentation.models import Segment

# A hand-off, real or ghost, has happened. No later outcome undoes it.
_FINAL = [DeliveryOutcomeKind.HANDED_OFF.value, DeliveryOutcomeKind.GHOST.value]

_RECORD = """
INSERT INTO experiments_deliveryoutcome AS kept (assignment_id, delivery_key, outcome, reason, at)
SELECT added.assignment_id, added.delivery_key, %(outcome)s, added.reason, %(at)s
FROM unnest(%(assignments)s::bigint[], %(keys)s::uuid[], %(reasons)s::text[])
    AS added (assignment_id, delivery_key, reason)
ON CONFLICT (delivery_key) DO UPDATE
    SET outcome = excluded.outcome, reason = excluded.reason, at = excluded.at
    WHERE kept.outcome <> ALL (%(final)s)
"""


class AssignedDelivery(NamedTuple):
    """A delivery of an assigned enrollment, and the reason for its outcome."""

    assignment_id: int
    delivery_key: UUID
    reason: str


@transaction.atomic
def draft_halves(key: str, *, name: str, hypothesis: str, segment: Segment) -> tuple[Arm, Arm]:
    """Create a draft that compares no message with messages, half each.

    Return its control and its treatment arm.
    """
    experiment = Experiment.objects.create(
        key=key, name=name, hypothesis=hypothesis, segment=segment
    )
    arms = ("control", "No message"), ("nudge", "Messages")
    control, treatment = (
        Arm.objects.create(
            experiment=experiment,
            key=arm_key,
            name=arm_name,
            weight=Decimal("0.5"),
            is_control=arm_key == "control",
            position=position,
        )
        for position, (arm_key, arm_name) in enumerate(arms)
    )
    return control, treatment


@transaction.atomic
def stop_experiment(experiment_id: int, *, now: datetime) -> Experiment:
    """Stop drawing learners; those drawn keep their arm. Raise ProtocolError for a draft."""
    experiment = locked_experiment(experiment_id)
    if experiment.status == ExperimentStatus.DRAFT:
        raise ProtocolError("The experiment was never started.")
    if experiment.status == ExperimentStatus.RUNNING:
        experiment.status = ExperimentStatus.STOPPED
        experiment.stopped_at = now
        experiment.save(update_fields=["status", "stopped_at"])
    return experiment


@transaction.atomic
def draw_arms(
    experiment_id: int, enrollment_ids: Collection[int], *, now: datetime
) -> dict[int, Assignment]:
    """Return the assignments by enrollment id, and draw an arm for enrollments without one.

    Return nothing if the experiment does not run, and leave out enrollments outside its coverage.
    A repeated draw, even a concurrent one, returns the first draw with its instant. At most six
    queries.
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
    """Record the outcome of one delivery, as `record_delivery_outcomes` does for several."""
    record_delivery_outcomes(
        [AssignedDelivery(assignment_id, delivery_key, reason)], outcome=outcome, at=at
    )


def record_delivery_outcomes(
    deliveries: Sequence[AssignedDelivery], *, outcome: str, at: datetime
) -> None:
    """Record the outcomes of deliveries, in the caller's transaction that changes them.

    A later outcome of a delivery replaces the earlier one, but a hand-off, real or ghost, stays.
    Raise ValueError for an unknown outcome.
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
    """Write a draw for each enrollment inside the coverage. Return whether there was one."""
    # The locked protocol decides: an arm or a seed that was edited after the start has no effect.
    protocol = read_protocol(experiment.protocol)
    draws = protocol.draw(coverage=float(experiment.coverage))
    arms = dict(experiment.arms.values_list("key", "pk"))
    rows = []
    # The order is fixed, so two workers with the same enrollments wait and do not deadlock.
    enrollments = Enrollment.objects.filter(pk__in=enrollment_ids).order_by("pk")
    units = list(enrollments.values_list("pk", "unit_key"))
    buckets = bucket_of_many([str(unit_key) for _, unit_key in units], seed=protocol.seed)
    for (enrollment_id, unit_key), bucket in zip(units, buckets.tolist(), strict=True):
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
    # Two workers may reach this point for one enrollment. The second waits until the first has
    # committed, inserts nothing, and then reads the row of the first.
    Assignment.objects.bulk_create(rows, ignore_conflicts=True)
    return bool(rows)
