"""The deliveries of each arm, counted by what became of them."""

from datetime import timedelta
from uuid import uuid4

import pytest

from experiments.operations import record_delivery_outcome
from experiments.queries import deliveries_by_arm
from experiments.reporting.facts import NO_MESSAGE, DeliveryCounts, Fate
from tests.experiments.factories import assign, running_experiment
from tests.factories import NOW

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
AS_OF = NOW + timedelta(days=10)


def test_deliveries_are_counted_by_arm_and_fate() -> None:
    experiment = running_experiment()
    once, twice = assign(experiment, "nudge", NOW), assign(experiment, "nudge", NOW)
    ghost = assign(experiment, "control", NOW)
    for assignment, outcome, reason in (
        (once, "handed_off", ""), (twice, "handed_off", "by_staff"), (twice, "handed_off", ""),
        (twice, "dropped", "opted_out"), (once, "dropped", "no_address"), (ghost, "ghost", ""),
    ):  # fmt: skip
        record_delivery_outcome(
            assignment.pk, delivery_key=uuid4(), outcome=outcome, reason=reason, at=NOW
        )
    for none in (assign(experiment, "nudge", NOW), assign(experiment, "nudge", NOW)):
        record_delivery_outcome(none.pk, delivery_key=uuid4(), outcome="failed", at=AS_OF + SECOND)

    assert deliveries_by_arm(experiment.pk, as_of=AS_OF) == {
        "nudge": {
            Fate("handed_off"): DeliveryCounts(3, 2),
            Fate("dropped", "opted_out"): DeliveryCounts(1, 1),
            Fate("dropped", "no_address"): DeliveryCounts(1, 1),
            NO_MESSAGE: DeliveryCounts(0, 2),
        },
        "control": {Fate("ghost"): DeliveryCounts(1, 1)},
    }


def test_learners_of_every_fate_add_up_to_the_draws() -> None:
    experiment = running_experiment()
    drawn = [assign(experiment, "nudge", NOW) for _ in range(4)]
    assign(experiment, "control", NOW)
    for assignment, outcome in zip(drawn, ("planned", "deferred", "handed_off"), strict=False):
        record_delivery_outcome(assignment.pk, delivery_key=uuid4(), outcome=outcome, at=NOW)
    assign(experiment, "nudge", AS_OF + SECOND)

    counted = deliveries_by_arm(experiment.pk, as_of=AS_OF)
    assert sum(each.learners for each in counted["nudge"].values()) == 4
    assert counted["nudge"][Fate("planned")] == DeliveryCounts(1, 1)
    assert counted["control"] == {NO_MESSAGE: DeliveryCounts(0, 1)}
