"""Dropping many messages at once has the same result as moving each of them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction

from experiments.models import DeliveryOutcome
from interventions.models import Delivery, DeliveryState
from interventions.operations.ledger import MAX_TRACE, Move, drop_planned, move
from tests.factories import NOW
from tests.interventions.factories import (
    arm_of,
    assign,
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
)

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=1)
TRACES = (0, 1, MAX_TRACE - 2, MAX_TRACE - 1, MAX_TRACE)


def make_planned() -> list[Delivery]:
    """Return planned messages with traces of many lengths, doubted or not, assigned or not."""
    course = make_live_course()
    segment = make_any_segment(course)
    nudge = arm_of(make_experiment(segment), "nudge")
    cadence = make_cadence(segment=segment, arm=nudge)
    deliveries = []
    for number, length in enumerate(TRACES * 2):
        enrollment = make_evaluated(course)
        assignment = assign(enrollment, nudge) if number % 2 else None
        doubted = length == 1 or length == MAX_TRACE
        deliveries.append(
            make_delivery(
                run=make_run(enrollment, cadence, assignment=assignment),
                trace=[{"at": NOW.isoformat(), "state": "planned", "n": n} for n in range(length)],
                doubted=doubted,
                claimed_at=NOW + timedelta(days=2 * (number % 2)) if doubted else None,
            )
        )
    return deliveries


def state_of(deliveries: list[Delivery]) -> tuple:
    ids = [each.pk for each in deliveries]
    outcomes = DeliveryOutcome.objects.filter(delivery_key__in=[each.key for each in deliveries])
    return (
        list(Delivery.objects.filter(pk__in=ids).order_by("pk").values()),
        list(outcomes.order_by("delivery_key").values("delivery_key", "outcome", "reason", "at")),
    )


def test_dropping_at_once_equals_moving_each() -> None:
    deliveries = make_planned()
    reasons = {each.run_id: f"reason {n % 3}" for n, each in enumerate(deliveries)}
    with transaction.atomic():
        for delivery in Delivery.objects.select_related("run").order_by("pk"):
            move(delivery, Move(DeliveryState.DROPPED, reasons[delivery.run_id]), now=LATER)
        expected = state_of(deliveries)
        transaction.set_rollback(True)

    drop_planned(reasons, now=LATER)

    written = state_of(deliveries)
    assert written == expected
    # The outcomes of the other two were recorded when they came into doubt.
    assert len(written[1]) == len(deliveries) // 2 - 2
    assert max(len(each["trace"]) for each in written[0]) == MAX_TRACE


def test_dropping_changes_no_unplanned_message_and_no_other_run() -> None:
    run = make_run(make_evaluated(), make_cadence())
    claimed = make_delivery(
        run=run, state="claimed", claimed_at=NOW, lease_until=LATER, token=uuid4()
    )
    other = make_delivery()

    drop_planned({run.pk: "left_segment"}, now=NOW)

    states = Delivery.objects.filter(pk__in=(claimed.pk, other.pk)).order_by("pk")
    assert list(states.values_list("state", flat=True)) == ["claimed", "planned"]
