"""Unsubscribing and preferences, by signed link, from the page and in one click."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.signing import Signer
from django.test import Client

from activity.models import Event, Learner
from interventions.models import Consent, Delivery, Run
from interventions.operations import save_preferences, unsubscribe
from interventions.render.links import LinkOwner, make_token, read_token
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_category,
    make_delivery,
    make_evaluated,
    make_live_course,
    mark_evaluated,
)

pytestmark = pytest.mark.django_db

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def owner_of(delivery: Delivery) -> LinkOwner:
    return LinkOwner(delivery.learner_id, delivery.enrollment_id, delivery.key)


def link(delivery: Delivery, page: str = "unsubscribe") -> str:
    return f"/{page}/{make_token(owner_of(delivery))}/"


@pytest.fixture
def strict() -> Client:
    """Return a client with CSRF checks, like browsers and mail providers."""
    return Client(enforce_csrf_checks=True)


def words() -> list[tuple[str | None, str, str]]:
    return list(Consent.objects.values_list("category__key", "state", "source").order_by("id"))


def test_only_a_valid_token_gives_its_owner_back() -> None:
    owner = owner_of(make_delivery())
    token = make_token(owner)

    assert read_token(token) == owner
    forged = Signer(salt="something else").sign_object([1, 2, owner.delivery_key.hex])
    for broken in (token[:-1], token[5:], f"x{token}", "", "a:b", forged):
        assert read_token(broken) is None


@pytest.mark.parametrize("method", ["get", "head"])
def test_opening_the_link_changes_nothing(strict: Client, method: str) -> None:
    response = getattr(strict, method)(link(make_delivery()))

    assert response.status_code == 200
    assert words() == []
    assert not Event.objects.exists()
    assert response.cookies == {}


def test_one_click_unsubscribes_without_token_session_or_redirect(strict: Client) -> None:
    delivery = make_delivery()

    response = strict.post(link(delivery), ONE_CLICK)

    assert response.status_code == 200
    assert response.cookies == {}
    assert words() == [(None, "out", "one_click")]
    event = Event.objects.get()
    assert (event.verb, event.enrollment) == ("UNSUBSCRIBED", delivery.enrollment)
    assert event.properties == {"delivery": str(delivery.key)}


def test_the_link_in_a_sent_mail_works(strict: Client) -> None:
    make_delivery()
    (mail,), _ = dispatch()

    response = strict.post(urlsplit(mail.unsubscribe_url).path, ONE_CLICK)

    assert response.status_code == 200
    assert len(words()) == 1


def test_the_button_of_the_page_unsubscribes(strict: Client) -> None:
    delivery = make_delivery()
    page = strict.get(link(delivery)).text
    assert "Stop all messages?" in page
    (action,) = re.findall(r'<form method="post" action="([^"]*)"', page)

    page = strict.post(link(delivery) + action).text

    assert "You are unsubscribed" in page
    assert words() == [(None, "out", "page")]


def test_a_second_click_counts_once() -> None:
    delivery = make_delivery()
    assert unsubscribe(owner_of(delivery), source="page", now=NOW)

    assert not unsubscribe(owner_of(delivery), source="page", now=NOW + timedelta(days=1))
    assert Event.objects.filter(verb="UNSUBSCRIBED").count() == 1


def test_unsubscribing_stops_what_is_due_in_all_courses() -> None:
    learner = make_learner()
    enrollments = [make_evaluated(make_live_course(), learner) for _ in range(2)]
    mine = [make_delivery(each) for each in enrollments]
    other = make_delivery()

    unsubscribe(owner_of(mine[0]), source="page", now=NOW)
    sent, _ = dispatch(NOW + timedelta(minutes=1))

    assert [each.address for each in sent] == [other.learner.email]
    for delivery in mine:
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason) == ("dropped", "unsubscribed")
        assert delivery.run.exit_reason == "unsubscribed"


def test_what_is_planned_after_unsubscribing_is_dropped_too() -> None:
    first = make_delivery()
    unsubscribe(owner_of(first), source="page", now=NOW)
    late = make_delivery(first.enrollment)

    assert dispatch(NOW + timedelta(minutes=1))[0] == []
    late.refresh_from_db()
    assert (late.state, late.reason) == ("dropped", "opted_out")


@pytest.mark.parametrize("token", ["broken", "a:b:c", "x" * 500])
@pytest.mark.parametrize("page", ["unsubscribe", "preferences"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_broken_link_shows_a_page_and_changes_nothing(
    strict: Client, token: str, page: str, method: str
) -> None:
    response = getattr(strict, method)(f"/{page}/{token}/")

    assert response.status_code == 404
    assert "This link does not work" in response.text
    assert words() == []


@pytest.mark.parametrize(
    ("page", "method", "status"),
    [
        ("unsubscribe", "get", 410),
        ("unsubscribe", "post", 200),
        ("preferences", "get", 410),
        ("preferences", "post", 410),
    ],
)
def test_the_link_of_a_deleted_learner_shows_a_page(
    strict: Client, page: str, method: str, status: int
) -> None:
    delivery = make_delivery()
    address = link(delivery, page)
    Delivery.objects.all().delete()
    Run.objects.all().delete()
    Learner.objects.all().delete()

    response = getattr(strict, method)(address)

    assert response.status_code == status
    assert "There is nothing to change</h1>" in response.text
    assert "is saved" not in response.text
    assert words() == []


ANY_BODY = {
    "of RFC 8058": (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
    "in another charset": (
        b"List-Unsubscribe=One-Click",
        "application/x-www-form-urlencoded; charset=iso-8859-1",
    ),
    "in no charset": (b"a=\xff\xfe", "application/x-www-form-urlencoded; charset=nonsense"),
    "of several parts": (
        b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--',
        "multipart/form-data; boundary=x",
    ),
    "of broken parts": (b"--x", "multipart/form-data; boundary=" + "y" * 300),
    "without a boundary": (b"List-Unsubscribe=One-Click", "multipart/form-data"),
    "empty": (b"", "application/x-www-form-urlencoded"),
    "without a type": (b"List-Unsubscribe=One-Click", ""),
    "JSON": (b"{", "application/json; charset=utf-16"),
    "of thousands of fields": (b"a&" * 5000, "application/x-www-form-urlencoded"),
    "huge": (b"a" * 6_000_000, "application/x-www-form-urlencoded"),
}


@pytest.mark.parametrize("body", ANY_BODY)
@pytest.mark.sampled(2)
def test_the_token_alone_unsubscribes_whatever_the_body_is(strict: Client, body: str) -> None:
    content, content_type = ANY_BODY[body]

    response = strict.generic("POST", link(make_delivery()), content, content_type=content_type)

    assert response.status_code == 200
    assert words() == [(None, "out", "one_click")]


@pytest.mark.slow
def test_a_preferences_link_used_ten_times_counts_as_one_unsubscription(strict: Client) -> None:
    delivery = make_delivery()

    for _ in range(10):
        strict.post(link(delivery, "preferences"))
        strict.post(link(delivery, "preferences"), {"category": delivery.category_id})

    assert Event.objects.filter(verb="UNSUBSCRIBED").count() == 1


def test_preferences_show_and_keep_each_category(strict: Client) -> None:
    delivery = make_delivery()
    news = make_category(name="News", needs_opt_in=True)
    other = make_category(name="Other")
    page = strict.get(link(delivery, "preferences")).text
    assert page.count("checked") == 2

    response = strict.post(
        link(delivery, "preferences"), {"category": [news.pk, delivery.category_id]}
    )

    assert "Your choice is saved." in response.text
    assert response.text.count("checked") == 2
    assert {key: state for key, state, _ in words()} == {
        news.key: "in",
        delivery.category.key: "in",
        other.key: "out",
    }
    assert len(dispatch()[0]) == 1


def test_opting_out_of_a_category_ends_its_runs_only() -> None:
    learner = make_learner()
    enrollment = make_evaluated(learner=learner)
    out, kept = (make_delivery(enrollment, make_cadence()) for _ in range(2))

    save_preferences(owner_of(out), wanted={kept.category_id}, source="page", now=NOW)
    sent, _ = dispatch(NOW)

    assert [each.message_id for each in sent] == [f"<{kept.key}@testserver>"]
    out.refresh_from_db()
    assert (out.state, out.reason) == ("dropped", "opted_out")
    assert not Event.objects.filter(verb="UNSUBSCRIBED").exists()


def test_wanting_no_category_is_unsubscribing() -> None:
    delivery = make_delivery()

    save_preferences(owner_of(delivery), wanted=set(), source="page", now=NOW)
    save_preferences(owner_of(delivery), wanted=set(), source="page", now=NOW)

    assert Event.objects.filter(verb="UNSUBSCRIBED").count() == 1


def test_a_no_to_everything_holds_for_a_category_made_afterwards(strict: Client) -> None:
    first = make_delivery()
    strict.post(link(first, "preferences"))
    mark_evaluated(first.enrollment)
    late = make_delivery(first.enrollment, make_cadence(category=make_category()))

    assert dispatch(NOW + timedelta(minutes=1))[0] == []
    late.refresh_from_db()
    assert (late.state, late.reason) == ("dropped", "opted_out")


def test_an_unsubscribed_learner_can_opt_in_to_one_category() -> None:
    first = make_delivery()
    save_preferences(owner_of(first), wanted={10**9}, source="page", now=NOW)
    save_preferences(owner_of(first), wanted={first.category_id}, source="page", now=NOW)
    mark_evaluated(first.enrollment)
    back = make_delivery(first.enrollment, make_cadence(category=first.category))

    sent, _ = dispatch(NOW + timedelta(minutes=1))

    assert [each.message_id for each in sent] == [f"<{back.key}@testserver>"]


@pytest.mark.parametrize("made_up", ["9" * 5000, "9" * 19, "x", "-1", "²", "\0"])
def test_a_made_up_category_is_ignored(strict: Client, made_up: str) -> None:
    delivery = make_delivery()

    response = strict.post(
        link(delivery, "preferences"), {"category": [made_up, delivery.category_id]}
    )

    assert response.status_code == 200
    assert words() == [(delivery.category.key, "in", "preferences")]


def test_an_unsubscribed_learner_can_opt_in_even_at_the_same_instant() -> None:
    delivery = make_delivery()
    unsubscribe(owner_of(delivery), source="page", now=NOW)
    save_preferences(owner_of(delivery), wanted={delivery.category_id}, source="page", now=NOW)
    mark_evaluated(delivery.enrollment)
    cadence = make_cadence(category=delivery.category)
    back = make_delivery(delivery.enrollment, cadence)
    of_a_new_category = make_delivery(delivery.enrollment)

    sent, _ = dispatch(NOW + timedelta(minutes=1))

    assert [each.message_id for each in sent] == [f"<{back.key}@testserver>"]
    of_a_new_category.refresh_from_db()
    assert of_a_new_category.reason == "opted_out"
    unsubscribe(owner_of(delivery), source="page", now=NOW)
    assert Consent.objects.get(category=None).changed_at > NOW


def test_pages_for_learners_show_no_menu_and_leave_no_trace(client: Client, admin_user) -> None:
    client.force_login(admin_user)
    delivery = make_delivery()

    response = client.get(link(delivery, "preferences"))

    assert "/admin/" not in response.text
    assert "/mailbox/" not in response.text
    assert delivery.learner.email not in response.text
    assert f"{delivery.learner.email[0]}•••@example.org" in response.text
    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]
    assert "Cookie" not in response.get("Vary", "")
