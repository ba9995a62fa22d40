"""What became of the mails, by provider and by domain."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from activity.access import COMMAND_LINE
from common.clock import utc_now
from interventions.models import Delivery, Receipt
from interventions.queries.deliverability import Line, deliverability
from interventions.tracking.thresholds import Counts
from interventions.tracking.words import receipt_sentences
from tests.factories import NOW
from tests.interventions.factories import make_counted, make_delivery, make_evaluated

EARLIER = NOW - timedelta(days=1)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(99, complained=9, hard_bounced=50), []),
        (Counts(1_000), []),
        (Counts(10_000, complained=9, hard_bounced=199), []),
        (Counts(10_000, complained=10), ["0.10% were marked as spam. Stay under"]),
        (Counts(1_000, complained=3), ["0.30% were marked as spam. From 0.3 % on"]),
        (Counts(1_000, hard_bounced=20), ["2.0% of the addresses do not exist."]),
    ],
)
def test_warnings_begin_at_the_usual_thresholds(counts: Counts, expected: list[str]) -> None:
    found = counts.warnings

    assert len(found) == len(expected)
    assert all(said.startswith(words) for said, words in zip(found, expected, strict=True))


def reported(address: str, *, at: Any = EARLIER, provider_id: str = "", **instants: Any) -> None:
    delivery = make_counted(make_evaluated(), at, address=address, provider_id=provider_id)
    Receipt.objects.create(delivery=delivery, **instants)


@pytest.mark.django_db
def test_messages_are_counted_by_provider_and_domain(
    django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported("ana@Example.org", provider_id="postmark:1", delivered_at=NOW, opened_at=NOW)
    reported("bo@example.org", provider_id="postmark:2", delivered_at=NOW, machine_opened_at=NOW)
    reported("cy@example.net", provider_id="postmark:3", hard_bounced_at=NOW, complained_at=NOW)
    reported("old@example.org", at=NOW - timedelta(days=31), delivered_at=NOW)
    make_counted(make_evaluated(), EARLIER, address="dee@example.org")
    make_delivery()

    with django_assert_num_queries(1):
        found = deliverability(viewer=COMMAND_LINE, now=NOW)
    monkeypatch.setattr("interventions.queries.deliverability.MOST_LINES", 3)
    with django_assert_num_queries(2):
        assert deliverability(viewer=COMMAND_LINE, now=NOW) == found

    counts = Counts(3, delivered=2, hard_bounced=1, complained=1, opened=1)
    assert found.providers == [Line("postmark", "", counts), Line("", "", Counts(1))]
    assert found.domains == [
        Line("postmark", "example.org", Counts(2, delivered=2, opened=1)),
        Line("", "example.org", Counts(1)),
        Line("postmark", "example.net", Counts(1, hard_bounced=1, complained=1)),
    ]


@pytest.mark.django_db
def test_page_shows_the_counts_to_those_who_may_see_messages() -> None:
    client, staff = Client(), User.objects.create_user("staff", is_staff=True)
    client.force_login(staff)
    assert client.get("/deliverability/").status_code == 403

    admin = User.objects.create_superuser("admin")
    client.force_login(admin)
    assert "No mail was sent" in client.get("/deliverability/").text
    now = utc_now() - timedelta(minutes=1)
    reported("ana@example.org", at=now, provider_id="postmark:1", delivered_at=now)
    page = client.get("/deliverability/").text
    assert "example.org" in page
    assert "postmark" in page
    assert "No mail provider reports to this site yet" in page
    assert "nothing is reported" not in page
    # Zeros would say that no mail of the server arrived.
    make_counted(make_evaluated(), now, address="bo@example.net")
    assert client.get("/deliverability/").text.count("nothing is reported of them") == 2


@pytest.mark.django_db
def test_page_of_a_delivery_says_what_was_reported(admin_client: Client) -> None:
    reported("ana@example.org", delivered_at=NOW, opened_at=NOW + timedelta(minutes=2))
    (delivery,) = Delivery.objects.all()

    page = admin_client.get(f"/admin/interventions/delivery/{delivery.pk}/change/").text

    assert "It arrived on" in page
    assert "Somebody opened it first on" in page
    assert page.index("It arrived on") < page.index("Somebody opened it first on")


def test_nothing_is_said_of_what_was_not_reported() -> None:
    assert [*receipt_sentences({"delivered_at": None, "id": 7}, zone="UTC")] == []
