"""Reports that come before our own record, about a doubt, or about somebody else's mail."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from activity.models import Event, PendingNo
from experiments.models import DeliveryOutcome
from interventions.models import Delivery, Suppression, TrackingEvent
from interventions.operations import record_reports
from interventions.operations.tracking import KEPT_UNKNOWN
from interventions.stages.recover import recover
from interventions.tracking.reports import Report
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    arm_of,
    assign,
    make_any_segment,
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
)

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(minutes=5)


def report(kind: str, **fields: Any) -> Report:
    values = {"provider": "postmark", "message_id": "7", "at": NOW, **fields}
    return Report(kind=kind, **values)


def verbs() -> list[str]:
    return sorted(Event.objects.values_list("verb", flat=True))


def test_report_that_comes_before_our_own_record_waits_for_it() -> None:
    record_reports([report("delivered")], now=NOW)
    (event,) = TrackingEvent.objects.all()
    assert event.delivery is None

    delivery = make_counted(make_evaluated(), NOW, provider_id="postmark:7")
    recover(now=LATER)

    delivery.refresh_from_db()
    assert delivery.state == "delivered"


def test_report_of_a_message_that_is_being_handed_off_waits_for_the_result() -> None:
    delivery = make_delivery(
        state="claimed", claimed_at=NOW, lease_until=LATER, token=uuid4(), message_id="<7@x>"
    )
    record_reports([report("delivered", message_id="7@x")], now=NOW)
    delivery.refresh_from_db()
    assert delivery.state == "claimed"

    recover(now=LATER)

    delivery.refresh_from_db()
    assert delivery.state == "delivered"


@pytest.mark.parametrize("state", ["in_doubt", "planned", "failed"])
def test_report_proves_that_a_message_was_accepted(state: str) -> None:
    segment = make_any_segment()
    arm = arm_of(make_experiment(segment), "nudge")
    enrollment = make_evaluated()
    cadence = make_cadence(segment=segment, arm=arm)
    run = make_run(enrollment, cadence, assignment=assign(enrollment, arm))
    claimed_at = NOW if state == "in_doubt" else None
    delivery = make_delivery(run=run, state=state, claimed_at=claimed_at, message_id="<7@x>")

    for _ in range(2):
        record_reports([report("delivered", message_id="", delivery_key=delivery.key)], now=LATER)

    delivery.refresh_from_db()
    assert (delivery.state, verbs()) == ("delivered", ["EMAIL_SENT"])
    assert DeliveryOutcome.objects.get().outcome == "handed_off"
    assert [entry["state"] for entry in delivery.trace] == ["handed_off", "delivered"]


def test_reports_about_mails_of_another_program_are_forgotten() -> None:
    record_reports([report("opened")], now=NOW)

    recover(now=NOW + KEPT_UNKNOWN - timedelta(hours=7))
    assert TrackingEvent.objects.count() == 1
    recover(now=NOW + KEPT_UNKNOWN)
    assert not TrackingEvent.objects.exists()


def test_no_to_an_unknown_message_counts_for_a_learners_address_alone() -> None:
    make_evaluated(make_live_course(), make_learner(email="ana@example.org"))
    strangers = [
        report("bounced", bounce="hard", recipient=each)
        for each in ("ana@example.org", "stranger@example.org")
    ]

    record_reports(strangers, now=NOW)
    assert PendingNo.objects.count() == 1
    recover(now=LATER)
    recover(now=LATER + timedelta(hours=1))

    assert [each.address for each in Suppression.objects.all()] == ["ana@example.org"]


def test_no_to_the_address_of_a_staging_copy_is_not_the_learners() -> None:
    delivery = make_counted(make_evaluated(), NOW, address="ana@example.org")
    said = report("complained", delivery_key=delivery.key, recipient="staff@example.org")

    record_reports([said], now=NOW)
    recover(now=LATER)

    assert [each.address for each in Suppression.objects.all()] == ["staff@example.org"]
    assert not delivery.learner.consents.exists()


def test_what_the_provider_does_not_send_any_more_is_suppressed_here_too() -> None:
    delivery = make_counted(make_evaluated(), NOW, address="ana@example.org")
    said = report("rejected", delivery_key=delivery.key, reject_reason="spam", detail="was spam")

    record_reports([said], now=NOW)
    recover(now=LATER)

    assert Suppression.objects.get().reason == "complained"
    delivery.refresh_from_db()
    assert (delivery.state, delivery.trace[-1]["detail"]) == ("bounced", "was spam")


def test_one_event_that_fails_costs_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = (
        make_counted(make_evaluated(), NOW, provider_id=f"postmark:{each}") for each in "78"
    )
    # A state that no release knows stands for any fault of one row.
    monkeypatch.setattr(
        "interventions.operations.tracking_effects.next_states",
        lambda state, kinds: ["unheard of"] if "complained" in kinds else ["delivered"],
    )

    record_reports([report("delivered"), report("complained", message_id="8")], now=NOW)

    for each in (good, bad):
        each.refresh_from_db()
    assert (good.state, bad.state) == ("delivered", "handed_off")
    assert TrackingEvent.objects.get(retry_at__isnull=False).attempts == 1


def test_instants_ahead_of_our_clock_are_cut() -> None:
    make_counted(make_evaluated(), NOW, provider_id="postmark:7")

    record_reports([report("opened", at=NOW + timedelta(days=900))], now=LATER)

    assert TrackingEvent.objects.get().happened_at == LATER


def test_a_message_deleted_meanwhile_takes_its_events_along() -> None:
    delivery = make_counted(make_evaluated(), NOW, provider_id="postmark:7")
    record_reports([report("opened")], now=NOW)

    Delivery.objects.filter(pk=delivery.pk).delete()
    recover(now=LATER)

    assert not TrackingEvent.objects.exists()
