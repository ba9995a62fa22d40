"""Reasons that are stored, over a change of their names."""

import re
from importlib import import_module

import pytest
from django.db import connection

from experiments.models import DeliveryOutcome, DeliveryOutcomeKind
from experiments.reporting.reasons import REASONS, reason_text
from experiments.reporting.received import HEADINGS
from interventions.models import Delivery
from interventions.policy.decision import Reason
from tests.factories import NOW
from tests.guards.code import ROOT, python_files
from tests.interventions.factories import arm_of, assign, make_delivery, make_experiment

pytestmark = pytest.mark.django_db

# A reason that is not of the policy stands as a constant, or as a text that is used once.
CONSTANT = re.compile(r'^[A-Z_]+ = "([a-z_]+)"$', re.MULTILINE)
USED_ONCE = {"error", "lease_too_short"}
# The beginning of a secret, and the names of tables.
NO_REASONS = {"whsec_", "interventions_archiveddelivery", "interventions_archivedtrace"}

migration = import_module("interventions.migrations.0013_evaluation_pending")


def run(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_reason_of_an_earlier_release_gets_its_new_name_and_back_again() -> None:
    old, other = (
        {"at": "2025-09-30T12:00:00+00:00", "state": "planned", "reason": reason}
        for reason in ("unsettled", "quiet_hours")
    )
    delivery = make_delivery(reason="unsettled", trace=[other, old, other])
    make_delivery(reason="quiet_hours", trace=[other])
    experiment = make_experiment(delivery.run.cadence.segment, start=False)
    assignment = assign(delivery.enrollment, arm_of(experiment, "nudge"))
    DeliveryOutcome.objects.create(
        assignment=assignment,
        delivery_key=delivery.key,
        outcome="deferred",
        reason="unsettled",
        at=NOW,
    )

    run(migration.renamed(migration.OLD, migration.NEW))

    found, untouched = Delivery.objects.order_by("pk")
    assert found.reason == found.trace[1]["reason"] == Reason.EVALUATION_PENDING
    assert (found.trace[0], found.trace[2]) == (other, other)
    assert (untouched.reason, untouched.trace) == ("quiet_hours", [other])
    assert DeliveryOutcome.objects.get().reason == Reason.EVALUATION_PENDING

    run(migration.renamed(migration.NEW, migration.OLD))

    assert Delivery.objects.get(pk=found.pk).trace == [other, old, other]


def test_every_reason_has_words() -> None:
    files = python_files("interventions/operations", "interventions/stages")
    files += [ROOT / f"interventions/queries/{name}.py" for name in ("goals", "runs")]
    written = {code for path in files for code in CONSTANT.findall(path.read_text())}

    assert {"goal", "by_staff", "too_old"} <= written
    assert {*Reason, *written, *USED_ONCE} - NO_REASONS == set(REASONS)
    assert set(HEADINGS) == set(DeliveryOutcomeKind)


def test_reason_of_a_later_release_is_shown_with_spaces() -> None:
    assert reason_text("learner_on_holiday") == "learner on holiday"
