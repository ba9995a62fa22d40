"""A suppressed address stays suppressed in any spelling, in the admin and on the roster."""

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.test import Client

from common.addresses import comparable, deliverable
from interventions.models import Suppression
from interventions.operations import suppress
from tests.factories import NOW, make_learner
from tests.interventions.factories import dispatch, make_delivery, make_evaluated

ADD = "/admin/interventions/suppression/add/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def form(address: str) -> dict[str, str]:
    day, time = NOW.date().isoformat(), NOW.time().isoformat()
    return {
        "address": address,
        "reason": "bounced",
        "created_at_0": day,
        "created_at_1": time,
        # The zone that the form showed beside the instant.
        "created_at_2": "UTC",
    }


@pytest.mark.parametrize(
    ("address", "same"),
    [
        (" Ana.X@Example.org ", "ana.x@example.org"),
        ("ana@MÜNCHEN.de", "ana@xn--mnchen-3ya.de"),
        ("ana@XN--MNCHEN-3YA.de", "ana@xn--mnchen-3ya.de"),
        ("Zoë@example.org", "zoë@example.org"),
        (f"ana@{'x' * 64}.org", f"ana@{'x' * 64}.org"),
        ("Nobody", "nobody"),
        ("", ""),
    ],
)
def test_addresses_are_compared_in_one_form(address: str, same: str) -> None:
    assert comparable(address) == same


def test_only_the_domain_is_rewritten_to_deliver() -> None:
    assert deliverable("Ana.X@München.de") == "Ana.X@xn--mnchen-3ya.de"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("suppressed", "written"),
    [
        ("Ana.X@Example.org", "Ana.X@Example.org"),
        ("ana@MÜNCHEN.de", "ana@xn--mnchen-3ya.de"),
        ("ana@xn--mnchen-3ya.de", "Ana@münchen.de"),
    ],
)
@pytest.mark.parametrize("way", ["admin", "operation", "model"])
def test_nothing_is_sent_to_another_spelling(
    staff: Client, way: str, suppressed: str, written: str
) -> None:
    if way == "admin":
        assert staff.post(ADD, form(suppressed)).status_code == 302
    elif way == "operation":
        suppress(suppressed, reason="bounced", now=NOW)
    else:
        Suppression.objects.create(address=suppressed, reason="bounced", created_at=NOW)
    delivery = make_delivery(make_evaluated(learner=make_learner(email=written)))

    assert dispatch()[0] == []
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == ("dropped", "suppressed")


@pytest.mark.django_db
def test_a_second_spelling_in_the_admin_is_refused_in_words(staff: Client) -> None:
    suppress("ana@example.org", reason="complained", now=NOW)
    suppress("ANA@example.org", reason="bounced", now=NOW)

    assert "already exists" in staff.post(ADD, form("Ana@Example.org")).text
    assert Suppression.objects.get().reason == "complained"


@pytest.mark.django_db
def test_the_database_refuses_capital_letters() -> None:
    with (
        pytest.raises(IntegrityError, match="suppression_address_is_lower_case"),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO interventions_suppression (address, reason, created_at)"
            " VALUES ('Ana@example.org', '', now())"
        )
