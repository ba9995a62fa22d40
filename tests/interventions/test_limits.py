"""Caps, quiet hours and send windows set by an admin, tested through the dispatch stage."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from activity.models import Due
from interventions.models import Delivery, FrequencyCap
from interventions.operations import InterventionError, save_cap, save_quiet_hours
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_category,
    make_counted,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
)

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def state_of(delivery: Delivery) -> tuple[str, str]:
    delivery.refresh_from_db()
    return delivery.state, delivery.reason


def test_a_second_message_in_one_loop_is_held_by_the_used_up_cap() -> None:
    save_cap("one", limit=1, window="rolling_hours", length=4)
    learner = make_learner()
    first, second = (make_delivery(make_evaluated(make_live_course(), learner)) for _ in range(2))

    sent, counts = dispatch()

    assert len(sent) == 1
    assert counts == {"handed_off": 1, "planned": 1}
    assert state_of(first) == ("handed_off", "")
    assert state_of(second) == ("planned", "frequency_cap")
    assert second.send_at == NOW + 4 * HOUR
    assert second.trace[-1]["detail"] == "one"
    assert dispatch(NOW + 4 * HOUR - timedelta(seconds=1))[0] == []
    assert len(dispatch(NOW + 4 * HOUR)[0]) == 1


@pytest.mark.parametrize(
    ("ledger_days", "window", "length", "is_refused"),
    [
        (400, "rolling_days", 401, True),
        (400, "rolling_hours", 400 * 24 + 1, True),
        (400, "rolling_days", 2_147_483_647, True),
        (400, "rolling_days", 400, False),
        (400, "calendar_week", 401, False),
        (10, "rolling_days", 61, True),
        (10, "rolling_days", 60, False),
        (0, "rolling_days", 401, False),
        (0, "rolling_days", 3_650, False),
    ],
)
@pytest.mark.sampled(2)
def test_a_cap_that_counts_more_than_the_ledger_keeps_is_refused(
    settings: Any,
    admin_client: Client,
    ledger_days: int,
    window: str,
    length: int,
    is_refused: bool,
) -> None:
    settings.LEDGER_DAYS = ledger_days
    values = {"name": "long", "limit": 1, "window": window, "length": length}
    form = {**values, "scope": "everything", "on_exceed": "defer", "active": "on"}

    page = admin_client.post(reverse("admin:interventions_frequencycap_add"), form)

    days = max(ledger_days, 60)
    words = f"The ledger keeps the messages of {days} days"
    assert (page.status_code == 200) == is_refused
    assert (words in page.text) == is_refused
    FrequencyCap.objects.all().delete()
    if is_refused:
        with pytest.raises(InterventionError, match=words):
            save_cap(**values)
    else:
        save_cap(**values)
    assert FrequencyCap.objects.exists() != is_refused


@pytest.mark.parametrize("window", ["rolling_days", "rolling_hours"])
@pytest.mark.parametrize("ledger_days", [0, 10_000_000])
def test_no_window_is_longer_than_ten_years(
    settings: Any, admin_client: Client, window: str, ledger_days: int
) -> None:
    settings.LEDGER_DAYS = ledger_days
    length = 3_650 * (24 if window == "rolling_hours" else 1) + 1
    form = {"name": "long", "limit": 1, "window": window, "length": length}
    form |= {"scope": "everything", "on_exceed": "defer", "active": "on"}

    page = admin_client.post(reverse("admin:interventions_frequencycap_add"), form)

    words = "A window can have at most 3,650 days"
    assert words in page.text
    with pytest.raises(InterventionError, match=words):
        save_cap("long", limit=1, window=window, length=length)
    assert not FrequencyCap.objects.exists()


def test_a_window_longer_than_all_time_stops_no_message() -> None:
    make_delivery()
    cap = save_cap("long", limit=1, window="rolling_days", length=1)
    FrequencyCap.objects.filter(pk=cap.pk).update(length=2_147_483_647)

    assert len(dispatch()[0]) == 1


def test_a_cap_from_before_a_shorter_ledger_can_still_be_changed(
    settings: Any, admin_client: Client
) -> None:
    cap = save_cap("long", limit=3, window="rolling_days", length=300)
    settings.LEDGER_DAYS = 60
    form = {"name": "long", "limit": 2, "window": "rolling_days", "length": 300}
    form |= {"scope": "everything", "on_exceed": "defer", "active": "on"}
    page = reverse("admin:interventions_frequencycap_change", args=(cap.pk,))

    # Its messages stay in the ledger.
    assert admin_client.post(page, form).status_code == 302
    assert "300 days" in admin_client.post(page, form | {"length": 301}).text
    cap.refresh_from_db()
    assert (cap.limit, cap.length) == (2, 300)


def test_a_ghost_uses_up_the_cap_of_the_same_turn() -> None:
    save_cap("one", limit=1, window="calendar_day")
    enrollment = make_evaluated()
    ghost = make_delivery(run=make_run(enrollment, ghost=True))
    second = make_delivery(enrollment)

    assert dispatch()[0] == []

    assert state_of(ghost) == ("ghost", "")
    assert state_of(second) == ("planned", "frequency_cap")


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        ("handed_off", True),
        ("delivered", True),
        ("bounced", True),
        ("complained", True),
        ("in_doubt", True),
        ("ghost", True),
        ("claimed", True),
        ("dropped", False),
        ("expired", False),
        ("failed", False),
    ],
)
@pytest.mark.sampled(2)
def test_messages_that_the_learner_got_or_may_have_got_count(state: str, counts: bool) -> None:
    save_cap("one", limit=1, window="rolling_days", length=1)
    enrollment = make_evaluated()
    fields = {"state": state, "claimed_at": (NOW - HOUR) if counts else None}
    if state == "claimed":
        fields |= {"lease_until": NOW + HOUR, "token": "3e0b7b5c-0000-4000-8000-000000000000"}
    make_delivery(run=make_run(enrollment, ghost=state == "ghost"), **fields)
    make_delivery(enrollment)

    assert len(dispatch()[0]) == (0 if counts else 1)


def test_a_dropping_cap_drops_the_message() -> None:
    save_cap("one", limit=1, window="rolling_hours", length=4, on_exceed="drop")
    enrollment = make_evaluated()
    make_counted(enrollment, NOW - HOUR)
    delivery = make_delivery(enrollment)

    dispatch()

    assert state_of(delivery) == ("dropped", "frequency_cap")


@pytest.mark.parametrize(
    ("scope", "is_held"),
    [
        ({}, True),
        ({"course": "this"}, True),
        ({"course": "other"}, False),
        ({"scope": "category", "category": "this"}, True),
        ({"scope": "category", "category": "other"}, False),
        ({"scope": "channel", "channel": "email"}, True),
        ({"active": False}, False),
    ],
    ids=str,
)
def test_a_cap_holds_the_messages_of_its_scope(scope: dict, is_held: bool) -> None:
    enrollment = make_evaluated()
    delivery = make_delivery(enrollment)
    make_counted(enrollment, NOW - HOUR, category=delivery.category)
    named = {
        "course": {"this": enrollment.course, "other": make_live_course()},
        "category": {"this": delivery.category, "other": make_category()},
    }
    values = {name: named.get(name, {}).get(value, value) for name, value in scope.items()}
    save_cap("one", limit=1, window="rolling_hours", length=4, **values)

    assert len(dispatch()[0]) == (0 if is_held else 1)


def test_a_category_without_caps_goes_out_and_still_counts() -> None:
    save_cap("one", limit=1, window="rolling_hours", length=4)
    enrollment = make_evaluated()
    make_counted(enrollment, NOW - HOUR)
    free = make_delivery(enrollment, make_cadence(category=make_category(capped=False)))

    dispatch()

    assert state_of(free) == ("handed_off", "")


def test_a_message_allowed_only_after_its_expiry_expires() -> None:
    save_cap("one", limit=1, window="rolling_days", length=7)
    enrollment = make_evaluated()
    make_counted(enrollment, NOW)
    delivery = make_delivery(enrollment, expires_at=NOW + 2 * HOUR)

    dispatch()
    assert Delivery.objects.get(pk=delivery.pk).send_at == NOW + 2 * HOUR
    dispatch(NOW + 2 * HOUR)

    assert state_of(delivery) == ("expired", "frequency_cap")


# NOW is 12:00 in UTC, 13:00 in London.
@pytest.mark.parametrize(
    ("zone", "opens"),
    [("", datetime(2025, 9, 30, 13, 0, tzinfo=UTC)), ("Asia/Kolkata", None)],
    ids=["the course's zone", "the learner's own"],
)
def test_quiet_hours_hold_in_the_learners_zone(zone: str, opens: datetime | None) -> None:
    save_quiet_hours(begins=time(12, 30), ends=time(14))
    delivery = make_delivery(make_evaluated(learner=make_learner(time_zone=zone)))

    sent, _ = dispatch()

    if opens is None:
        assert len(sent) == 1
    else:
        assert state_of(delivery) == ("planned", "quiet_hours")
        assert delivery.send_at == opens


def test_a_courses_quiet_hours_replace_the_sites() -> None:
    save_quiet_hours(begins=time(12, 30), ends=time(14))
    delivery = make_delivery()
    save_quiet_hours(begins=time(1), ends=time(2), course=delivery.enrollment.course)

    assert len(dispatch()[0]) == 1


def test_a_category_that_is_not_quiet_goes_out_at_night() -> None:
    save_quiet_hours(begins=time(12, 30), ends=time(14))
    make_delivery(cadence=make_cadence(category=make_category(quiet=False)))

    assert len(dispatch()[0]) == 1


def test_a_cadence_sends_in_its_window_only() -> None:
    cadence = make_cadence(window_from=time(16), window_until=time(18))
    delivery = make_delivery(cadence=cadence)

    assert dispatch()[0] == []
    assert state_of(delivery) == ("planned", "send_window")
    assert delivery.send_at == datetime(2025, 9, 30, 15, 0, tzinfo=UTC)
    assert len(dispatch(delivery.send_at)[0]) == 1


def test_a_cadence_sends_on_its_weekdays_only() -> None:
    # NOW is a Tuesday in September, at 13:00 in London.
    cadence = make_cadence(weekdays=[4, 1], window_from=time(9), window_until=time(17))
    delivery = make_delivery(cadence=cadence)

    assert dispatch()[0] == []
    assert state_of(delivery) == ("planned", "send_window")
    assert delivery.send_at == datetime(2025, 10, 2, 8, 0, tzinfo=UTC)
    assert len(dispatch(delivery.send_at)[0]) == 1


@pytest.mark.slow
def test_the_trace_keeps_decisions_up_to_a_limit() -> None:
    delivery = make_delivery(expires_at=NOW + timedelta(days=30))
    Due.objects.filter(pk=delivery.enrollment_id).update(due_at=NOW)

    now = NOW
    for _ in range(60):
        dispatch(now)
        delivery.refresh_from_db()
        now = delivery.send_at

    assert len(delivery.trace) == 50
    assert delivery.trace[-1]["reason"] == "evaluation_pending"


def test_a_cap_of_zero_is_refused() -> None:
    with pytest.raises(InterventionError, match="Hold all messages"):
        save_cap("none", limit=0, window="rolling_days", length=1)


def test_the_table_itself_refuses_a_cap_of_zero() -> None:
    cap = save_cap("one", limit=1, window="rolling_days", length=1)

    with pytest.raises(IntegrityError), transaction.atomic():
        FrequencyCap.objects.filter(pk=cap.pk).update(limit=0)
