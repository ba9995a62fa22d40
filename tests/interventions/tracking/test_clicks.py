"""Links that lead through this site: only to signed addresses, always, and counted once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.signing import Signer
from django.db import OperationalError
from django.test import Client

from activity.models import Event
from interventions.channels.mail import compose_mail
from interventions.models import Category, Delivery, Receipt, TrackingEvent
from interventions.operations.tracking import MOST_CLICKS
from interventions.queries.drafts import Recipient, draft_of
from interventions.queries.texts import TextCache
from interventions.render.context import SAMPLE
from interventions.render.links import (
    LinkOwner,
    make_token,
    preferences_url,
    unsubscribe_url,
)
from interventions.render.masked_links import masked_html, masked_text
from interventions.render.tracked import ClickLink, read_click, with_tracked_links
from interventions.stages.recover import recover
from interventions.views import clicks
from tests.factories import NOW
from tests.interventions.factories import (
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_template,
)

KEY = uuid4()
LINK = "https://course.example.org/module-3?a=1&b=2"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
LONG_AGO = NOW - timedelta(days=1)
MUCH_LATER = NOW + timedelta(days=3650)


@pytest.fixture(autouse=True)
def _closed_breaker() -> None:
    clicks.breaker.until = 0.0


def tracked(html: str, text: str = "") -> tuple[str, str]:
    return with_tracked_links(html, text, KEY)


def path_of(address: str) -> str:
    return address.removeprefix("http://testserver")


def link_of(delivery: Delivery) -> str:
    html, _ = with_tracked_links(f'<a href="{LINK}">Go</a>', "", delivery.key)
    return path_of(html.split('"')[1])


def test_web_links_lead_through_this_site_in_both_parts() -> None:
    html, text = tracked(
        f'<p><a title="a > b" href="{LINK.replace("&", "&amp;")}">Go</a></p>', f"Go:\n{LINK}\nBye."
    )

    address = html.split('href="')[1].split('"')[0]
    assert text == f"Go:\n{address}\nBye."
    token = address.removeprefix("http://testserver/c/").removesuffix("/")
    assert read_click(token) == ClickLink(KEY, LINK)


@pytest.mark.parametrize(
    "address",
    [
        "mailto:ana@example.org",
        "tel:+4412345",
        "#top",
        "/relative",
        "https://",
        "https://[broken/",
        f"https://course.example.org/{'a' * 2000}",
        "http://testserver/unsubscribe/abc:def/",
        "http://testserver/preferences/abc:def/",
    ],
)
def test_other_links_stay_as_they_are(address: str) -> None:
    html = f'<a href="{address}">Go</a><img src="{LINK}"><link href="{LINK}">'

    assert tracked(html, address) == (html, address)


def test_a_link_is_tracked_once() -> None:
    once = tracked(f'<a href="{LINK}">Go</a>')

    assert tracked(*once) == once


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x" * 500,
        Signer(salt="interventions.learner-link").sign_object([KEY.hex, LINK]),
        Signer(salt="interventions.click").sign_object([KEY.hex, "javascript:alert(1)"]),
        Signer(salt="interventions.click").sign_object([KEY.hex, "//evil.example.org"]),
        Signer(salt="interventions.click").sign_object([7, LINK]),
        Signer(salt="interventions.click").sign_object(7),
    ],
)
def test_token_that_this_site_has_not_signed_leads_nowhere(token: str) -> None:
    assert read_click(token) is None
    if token:
        answer = Client().get(f"/c/{token}/", headers={"Accept-Language": "de"})
        assert (answer.status_code, "Location" in answer) == (404, False)
        assert '<html lang="de"' in answer.text


@pytest.mark.django_db
def test_click_leads_to_the_address_and_enters_the_log_once() -> None:
    delivery = make_counted(make_evaluated(), LONG_AGO)

    for _ in range(2):
        answer = Client().get(link_of(delivery), headers={"User-Agent": FIREFOX})
        assert (answer.status_code, answer["Location"]) == (302, LINK)
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]
    assert answer.cookies == {}
    recover(now=MUCH_LATER)

    event = Event.objects.get()
    assert (event.verb, event.enrollment) == ("EMAIL_CLICKED", delivery.enrollment)
    assert event.properties["machine"] is False
    assert Receipt.objects.get(delivery=delivery).clicked_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "user_agent", "sent_at"),
    [
        ("head", FIREFOX, LONG_AGO),
        ("get", "Barracuda Sentinel", LONG_AGO),
        ("get", "", LONG_AGO),
        ("get", FIREFOX, MUCH_LATER),
    ],
)
def test_click_of_a_machine_leads_there_too_and_is_marked(
    method: str, user_agent: str, sent_at: Any
) -> None:
    delivery = make_counted(make_evaluated(), sent_at)

    answer = getattr(Client(), method)(link_of(delivery), headers={"User-Agent": user_agent})
    recover(now=MUCH_LATER)

    assert answer["Location"] == LINK
    assert Event.objects.get().properties["machine"] is True
    assert Receipt.objects.get().clicked_at is None


@pytest.mark.django_db
def test_link_works_without_a_database_and_the_click_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def fail(*_: Any, **__: Any) -> None:
        tried.append(1)
        raise OperationalError("the database is down")

    delivery = make_counted(make_evaluated(), LONG_AGO)
    monkeypatch.setattr("interventions.operations.record_click", fail)
    monkeypatch.setattr("interventions.views.clicks.connection.close", lambda: None)

    for _ in range(3):
        answer = Client().get(link_of(delivery), headers={"User-Agent": FIREFOX})
        assert answer["Location"] == LINK

    # After the first failure no request waits for the database again.
    assert len(tried) == 1


@pytest.mark.django_db
def test_link_of_a_deleted_message_leads_there_and_stores_nothing() -> None:
    delivery = make_counted(make_evaluated(), LONG_AGO)
    path = link_of(delivery)
    delivery.delete()

    assert Client().get(path, headers={"User-Agent": FIREFOX}).status_code == 302
    assert not TrackingEvent.objects.exists()


@pytest.mark.django_db
def test_endless_use_of_a_link_fills_no_table() -> None:
    delivery = make_counted(make_evaluated(), LONG_AGO)
    TrackingEvent.objects.bulk_create(
        TrackingEvent(
            digest=f"{number:064}",
            provider="link",
            kind="clicked",
            delivery=delivery,
            happened_at=LONG_AGO,
            received_at=LONG_AGO,
        )
        for number in range(MOST_CLICKS)
    )

    assert Client().get(link_of(delivery), headers={"User-Agent": FIREFOX}).status_code == 302
    assert TrackingEvent.objects.count() == MOST_CLICKS


def composed(delivery: Delivery) -> str:
    text = TextCache().choose(delivery.step.template, ("en",))
    to = Recipient(delivery.learner, "ana@example.org")
    token = make_token(LinkOwner(delivery.learner_id, delivery.enrollment_id, delivery.key))
    pages = {
        "unsubscribe_url": unsubscribe_url(token),
        "preferences_url": preferences_url(token),
    }
    draft = draft_of(delivery, text, to, replace(SAMPLE, **pages), now=NOW)
    mail = compose_mail(draft)
    return f"{mail.alternatives[0][0]}{mail.body}"


@pytest.mark.django_db
def test_site_and_category_decide_whether_a_mail_is_tracked(settings: Any) -> None:
    body = f'<p><a href="{LINK}">Go on</a></p>'
    delivery = make_delivery(cadence=make_cadence(template=make_template(en=("Hello", body))))

    assert "/c/" not in composed(delivery)
    settings.TRACK_CLICKS = True
    mail = composed(delivery)
    assert mail.count("http://testserver/c/") == 2
    # Both parts have both links of the learner.
    assert mail.count("http://testserver/unsubscribe/") == 2
    assert mail.count("http://testserver/preferences/") == 2
    Category.objects.update(track_clicks=False)
    assert "/c/" not in composed(Delivery.objects.get(pk=delivery.pk))


def test_staff_follow_the_address_behind_the_link() -> None:
    html, text = tracked(f'<a href="{LINK.replace("&", "&amp;")}">Go</a>', LINK + f" {LINK}")
    plain = tracked(f'<a href="{LINK}">Go</a>', LINK)[1]

    assert masked_html(html) == f'<a href="{LINK.replace("&", "&amp;")}">Go</a>'
    assert masked_text(plain) == LINK
    assert "/c/" not in masked_text(text)
