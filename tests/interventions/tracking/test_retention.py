"""Old tracking events are forgotten, and what they meant stays."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from activity.models import Event
from interventions.models import Delivery, Receipt, TrackingEvent
from interventions.operations import record_reports
from interventions.operations import tracking_retention as retention
from interventions.operations.tracking_retention import forget_old_events
from interventions.stages.recover import recover
from interventions.tracking.reports import Report
from tests.factories import NOW
from tests.interventions.factories import make_counted, make_evaluated
from tests.plans import scanned_whole
from tests.processes import database_url

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _kept_for_half_a_year(settings: Any) -> None:
    settings.TRACKING_DAYS = 180


def make_reported(days: int) -> Delivery:
    """Return a message that was reported as delivered so many days ago."""
    at = NOW - days * DAY
    delivery = make_counted(make_evaluated(), at, provider_id=f"postmark:{days}")
    record_reports(
        [Report(kind="delivered", provider="postmark", message_id=f"{days}", at=at)], now=at
    )
    return delivery


def kept() -> list[str]:
    return list(TrackingEvent.objects.order_by("pk").values_list("message_id", flat=True))


def forget(budget: float = 60.0) -> int:
    return forget_old_events(now=NOW, budget=budget)


def test_old_events_are_forgotten_and_what_they_meant_stays() -> None:
    old, _ = make_reported(181), make_reported(179)

    recover(now=NOW)
    assert len(kept()) == 2
    recover(now=NOW.replace(minute=17))

    assert kept() == ["179"]
    old.refresh_from_db()
    assert old.state == "delivered"
    assert Receipt.objects.filter(delivery=old, delivered_at__isnull=False).exists()


@pytest.mark.parametrize(
    ("days", "left"), [(0, ["400", "31", "29"]), (5, ["29"]), (60, ["31", "29"])]
)
def test_setting_says_how_long_events_are_kept(settings: Any, days: int, left: list[str]) -> None:
    settings.TRACKING_DAYS = days
    for each in (400, 31, 29):
        make_reported(each)

    forget()

    assert kept() == left


def test_event_that_has_not_acted_is_kept() -> None:
    make_reported(200)
    TrackingEvent.objects.update(retry_at=NOW)

    assert forget() == 0
    assert kept() == ["200"]


@pytest.mark.slow
def test_all_batches_are_forgotten_also_behind_events_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    for days in (207, 206, 205, 204, 203, 10, 9, 8):
        make_reported(days)
    TrackingEvent.objects.filter(message_id__in=["207", "206"]).update(retry_at=NOW)

    assert forget() == 3
    assert kept() == ["207", "206", "10", "9", "8"]


def test_it_ends_when_its_time_is_over() -> None:
    make_reported(200)

    assert forget(budget=0) == 0


def test_repeat_of_a_forgotten_report_changes_nothing() -> None:
    delivery = make_reported(200)
    forget()
    before = (Receipt.objects.values().get(delivery=delivery), Event.objects.count())
    at = NOW - 200 * DAY

    record_reports(
        [Report(kind="delivered", provider="postmark", message_id="200", at=at)], now=NOW
    )

    assert (Receipt.objects.values().get(delivery=delivery), Event.objects.count()) == before


def test_nothing_old_takes_one_statement(
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    make_reported(10)

    with django_assert_num_queries(1):
        forget()


MANY = """
INSERT INTO interventions_trackingevent (digest, provider, message_id, delivery_id, kind,
    happened_at, received_at, recipient, link, user_agent, detail, bounce, reject_reason, machine,
    attempts)
SELECT md5(number::text), provider, message_id, delivery_id, kind, happened_at, received_at,
    recipient, link, user_agent, detail, bounce, reject_reason, machine, attempts
FROM interventions_trackingevent CROSS JOIN generate_series(1, 20000) AS number;
ANALYZE interventions_trackingevent;
"""


def test_a_batch_reads_no_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 100)
    make_reported(10)
    with connection.cursor() as cursor:
        cursor.execute(MANY)

    tables, whole = scanned_whole(forget)

    assert "interventions_trackingevent" in tables
    assert not whole


@pytest.mark.django_db(transaction=True)
def test_event_that_another_worker_holds_is_passed_over() -> None:
    make_reported(200)
    make_reported(190)
    held = "SELECT FROM interventions_trackingevent WHERE message_id = '200' FOR NO KEY UPDATE"

    with psycopg.connect(database_url()) as other:
        other.execute(held)
        assert forget() == 1
        other.rollback()

    assert kept() == ["200"]
    assert forget() == 1
