"""Webhooks: signed, repeated with one id, never to our own network, and none blocks another."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from standardwebhooks.webhooks import Webhook

from activity.models import Course
from common.clock import utc_now
from interventions.channels import CHANNELS, outside
from interventions.channels.retry_after import retry_after
from interventions.models import Delivery, WebhookEndpoint
from interventions.operations import InterventionError, renew_secret, save_endpoint
from interventions.stages.dispatch import dispatch_due
from interventions.stages.recover import recover
from tests.factories import NOW, make_learner
from tests.http_sink import HttpSink, serve
from tests.interventions.factories import (
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_template,
)
from tests.smtp import SmtpSink

pytestmark = pytest.mark.django_db

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def private_network(settings) -> None:
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = True


@pytest.fixture
def other_sink() -> Iterator[HttpSink]:
    with serve(HttpSink()) as sink:
        yield sink


def make_endpoint(sink: HttpSink, course: Course | None = None) -> WebhookEndpoint:
    endpoint = WebhookEndpoint(course=course, url=f"{sink.url}/hook?from=nudgelab")
    save_endpoint(endpoint)
    return endpoint


def make_due(course: Course | None = None, **fields) -> Delivery:
    return make_delivery(make_evaluated(course), make_cadence(), channel="webhook", **fields)


def dispatch(now=NOW) -> dict[str, int]:
    return dict(dispatch_due(clock=lambda: now, channels={"webhook": CHANNELS["webhook"]}))


def test_a_webhook_is_signed_json_for_the_platform(http_sink: HttpSink) -> None:
    endpoint = make_endpoint(http_sink)
    course = make_live_course(ends_on=(utc_now() + DAY).date())
    texts = ("Next: {{ course.title }}", "<p>Read <a href='https://a.example/1'>this</a>, é.</p>")
    learner = make_learner(external_id="s-1", name="Zoë")
    cadence = make_cadence(template=make_template(en=texts), why_now="you were away")
    now = utc_now()
    delivery = make_delivery(
        make_evaluated(course, learner), cadence, channel="webhook", expires_at=now + DAY
    )

    dispatch(now)

    (request,) = http_sink.posted
    assert request.path == "/hook?from=nudgelab"
    body = Webhook(endpoint.secret).verify(request.body, request.headers)
    assert (body["format"], body["type"]) == (1, "message")
    assert request.headers["webhook-id"] == f"msg_{delivery.key}"
    data = body["data"]
    assert (data["learner"], data["course"], data["message"]) == (
        "s-1",
        course.key,
        str(delivery.key),
    )
    assert data["subject"] == f"Next: {course.title}"
    assert data["html"] == '<p>Read <a href="https://a.example/1">this</a>, é.</p>'
    assert data["text"] == "Read this:\nhttps://a.example/1\né.\n"
    assert data["reason"] == "you were away"
    assert "/unsubscribe/" in data["unsubscribe_url"]


def test_after_a_change_of_the_secret_both_sign_for_a_day(http_sink: HttpSink) -> None:
    endpoint = make_endpoint(http_sink)
    old, now = endpoint.secret, utc_now()
    new = renew_secret(endpoint, now=now - DAY + MINUTE)
    make_due(make_live_course(ends_on=(now + DAY).date()), expires_at=now + DAY)
    dispatch(now)
    (request,) = http_sink.posted
    for secret in (old, new):
        Webhook(secret).verify(request.body, request.headers)

    make_due(make_live_course(ends_on=(now + DAY).date()), expires_at=now + DAY)
    dispatch(now + 2 * MINUTE)

    signatures = http_sink.posted[1].headers["webhook-signature"].split()
    assert len(signatures) == 1
    Webhook(new).verify(http_sink.posted[1].body, http_sink.posted[1].headers)


def test_a_second_change_of_the_secret_waits_until_receivers_had_their_day(
    http_sink: HttpSink,
) -> None:
    endpoint = make_endpoint(http_sink)
    old, now = endpoint.secret, datetime(2025, 11, 3, 8, tzinfo=UTC)
    new = renew_secret(endpoint, now=now)

    with pytest.raises(InterventionError, match=r"Until Tuesday 4 November 2025, 08:00 \(UTC\)"):
        renew_secret(endpoint, now=now + DAY - MINUTE)
    endpoint.refresh_from_db()
    assert (endpoint.old_secret, endpoint.secret) == (old, new)

    third = renew_secret(endpoint, now=now + DAY)
    endpoint.refresh_from_db()
    assert (endpoint.old_secret, endpoint.secret) == (new, third)


def test_a_course_has_its_own_endpoint_or_the_sites(
    http_sink: HttpSink, other_sink: HttpSink
) -> None:
    course = make_live_course()
    make_endpoint(other_sink, course)
    make_endpoint(http_sink)
    make_due(course)
    make_due()

    assert dispatch() == {"handed_off": 2}

    assert (len(other_sink.posted), len(http_sink.posted)) == (1, 1)


def test_without_an_endpoint_the_message_waits_until_there_is_one(http_sink: HttpSink) -> None:
    delivery = make_due()

    assert dispatch() == {"planned": 1}

    delivery.refresh_from_db()
    assert (delivery.reason, delivery.attempts) == ("not_set_up", 0)
    make_endpoint(http_sink)
    assert dispatch(NOW + DAY) == {"handed_off": 1}


@pytest.mark.slow
def test_a_hanging_endpoint_costs_one_wait_and_holds_up_nobody_else(
    http_sink: HttpSink,
    other_sink: HttpSink,
    smtp_sink: SmtpSink,
    settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outside, "SECONDS_TO_ANSWER", 1.0)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_sink.host, smtp_sink.port
    course = make_live_course()
    hanging = make_endpoint(http_sink, course)
    make_endpoint(other_sink)
    http_sink.hang = True
    for _ in range(5):
        make_due(course, priority=1)
    make_due()
    make_delivery(cadence=make_cadence())
    began = time.monotonic()

    counts = dispatch_due(clock=lambda: NOW)

    assert time.monotonic() - began < 5
    assert counts["handed_off"] == 2
    assert len(http_sink.asked) == 1
    hanging.refresh_from_db()
    assert hanging.down_until == NOW + 30 * SECOND
    # The next loop claims none of them, until the endpoint has rested.
    assert dispatch(NOW + 29 * SECOND).get("handed_off", 0) == 0
    assert len(http_sink.asked) == 1
    http_sink.hang = False
    recover(now=NOW + MINUTE)
    assert dispatch(NOW + 5 * MINUTE) == {"handed_off": 5}


def test_an_error_is_tried_again_with_the_same_id_and_then_fails(http_sink: HttpSink) -> None:
    make_endpoint(http_sink)
    delivery = make_due()
    http_sink.status = 500
    now = NOW
    for _ in range(10):
        dispatch(now)
        now += timedelta(hours=2)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == ("failed", "too_many_attempts")
    assert len(http_sink.asked) == delivery.attempts == 6
    assert delivery.trace[-1]["detail"].startswith("500 ")


def test_an_answer_that_got_lost_is_asked_for_again_with_the_same_id(http_sink: HttpSink) -> None:
    make_endpoint(http_sink)
    delivery = make_due()
    http_sink.drop = True
    assert dispatch() == {"in_doubt": 1}
    http_sink.drop = False

    recover(now=NOW + SECOND)
    delivery.refresh_from_db()
    # The platform may have it, so caps go on counting it.
    assert (delivery.doubted, delivery.claimed_at) == (True, NOW)
    assert dispatch(NOW + timedelta(minutes=10)) == {"handed_off": 1}

    first, second = http_sink.posted
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"msg_{delivery.key}"
    assert first.body != b""


def test_a_redirect_is_not_followed(http_sink: HttpSink, other_sink: HttpSink) -> None:
    make_endpoint(http_sink)
    delivery = make_due()
    http_sink.status, http_sink.headers = 307, {"Location": f"{other_sink.url}/inside"}

    assert dispatch() == {"planned": 1}

    delivery.refresh_from_db()
    assert delivery.trace[-1]["detail"].endswith("redirects are not followed")
    assert (other_sink.asked, delivery.reason) == ([], "not_accepted")


def test_a_receiver_that_asks_to_wait_is_left_alone(http_sink: HttpSink) -> None:
    endpoint = make_endpoint(http_sink)
    delivery = make_due()
    http_sink.status, http_sink.headers = 429, {"Retry-After": "600"}

    dispatch()

    endpoint.refresh_from_db()
    delivery.refresh_from_db()
    assert endpoint.down_until == NOW + timedelta(minutes=10)
    assert (delivery.reason, delivery.attempts) == ("channel_down", 0)
    http_sink.status = 200
    assert dispatch(NOW + timedelta(minutes=9)) == {}
    assert dispatch(NOW + timedelta(minutes=10)) == {"handed_off": 1}
    endpoint.refresh_from_db()
    assert (endpoint.down_until, endpoint.failures, endpoint.last_error) == (None, 0, "")


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", timedelta(minutes=2)),
        (" 0 ", timedelta(0)),
        ("Tue, 30 Sep 2025 12:05:00 GMT", timedelta(minutes=5)),
        ("Tue, 30 Sep 2025 11:00:00 GMT", timedelta(0)),
        ("99999999", timedelta(hours=6)),
        ("9" * 15, timedelta(hours=6)),
        ("9" * 400, None),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, wait: timedelta | None) -> None:
    assert retry_after(header, now=NOW) == wait


def test_a_private_address_waits_and_shows_why(http_sink: HttpSink, settings) -> None:
    endpoint = make_endpoint(http_sink)
    delivery = make_due()
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = False

    dispatch()

    endpoint.refresh_from_db()
    delivery.refresh_from_db()
    assert "private address 127.0.0.1" in endpoint.last_error
    assert (delivery.reason, delivery.attempts, http_sink.asked) == ("channel_down", 0, [])


BAD_URLS = (
    "http://a.example/",
    "https://",
    "ftp://a.example",
    "https://me:pw@a.example/",
    "https://user@[::1",
    "https://courses.example.org:443443/hook",
    "https://courses.example.org:0/hook",
    "https://courses example.org/hook",
    "https://courses..example.org/hook",
    "https://courses.example.org/ho ok",
    "https://courses.example.org/hook?a=\u00fc",
)


@pytest.mark.slow
def test_the_page_shows_the_secret_once_and_refuses_a_bad_address(
    admin_client: Client, settings
) -> None:
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = False
    add = "/admin/interventions/webhookendpoint/add/"
    for wrong in BAD_URLS:
        page = admin_client.post(add, {"url": wrong, "active": "on"})
        assert "Write " in page.text, wrong
        assert not WebhookEndpoint.objects.exists()

    shown = admin_client.post(add, {"url": "https://a.example/x", "active": "on"}, follow=True)

    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.secret in shown.text
    change = f"/admin/interventions/webhookendpoint/{endpoint.pk}/"
    assert endpoint.secret not in admin_client.get(f"{change}change/").text
    renewed = admin_client.post(f"{change}press/renew_secret/", follow=True).text
    old, endpoint = endpoint.secret, WebhookEndpoint.objects.get()
    assert (endpoint.secret in renewed, old in renewed) == (True, False)
    pressed_again = admin_client.post(f"{change}press/renew_secret/", follow=True).text
    assert "Nothing was changed. Until " in pressed_again
    assert endpoint.secret == WebhookEndpoint.objects.get().secret
    second = admin_client.post(add, {"url": "https://b.example/x", "active": "on"})
    assert "There is an endpoint for it already." in second.text


def test_the_body_is_json_of_a_numbered_format(http_sink: HttpSink) -> None:
    make_endpoint(http_sink)
    make_due()

    dispatch()

    assert list(json.loads(http_sink.posted[0].body)) == ["format", "type", "timestamp", "data"]
