"""Reports of providers: each lands once, and acts as any other way of saying the same."""

import base64
import json
import zlib
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from activity.models import Course, Event, PendingNo
from interventions.models import Consent, Delivery, Receipt, Suppression, TrackingEvent
from interventions.stages.recover import recover
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    dispatch,
    make_counted,
    make_delivery,
    make_evaluated,
    make_live_course,
    mark_evaluated,
)
from tests.interventions.tracking.providers import (
    KEY,
    LINK,
    SECRETS,
    SILENT,
    VIEWS,
    WRITERS,
    Post,
    Said,
)

pytestmark = [
    pytest.mark.django_db,
    # Anymail reads reports of SendGrid, but no longer supports it officially.
    pytest.mark.filterwarnings("ignore::anymail.exceptions.AnymailNotSupportedWarning"),
]

# Reports are read by the real clock, so what they are about lies in the past.
SENT_AT = NOW - timedelta(hours=2)
OPENED_AT = SENT_AT + timedelta(minutes=20)
MUCH_LATER = NOW + timedelta(days=3650)
KINDS = ("delivered", "hard", "soft", "complained", "unsubscribed", "opened", "clicked")
VERBS = {
    "hard": "EMAIL_BOUNCED",
    "soft": "EMAIL_BOUNCED",
    "complained": "EMAIL_COMPLAINED",
    "unsubscribed": "UNSUBSCRIBED",
    "opened": "EMAIL_OPENED",
    "clicked": "EMAIL_CLICKED",
}


@pytest.fixture(autouse=True)
def _configured(settings: Any) -> None:
    settings.ANYMAIL = SECRETS
    settings.EMAIL_WEBHOOKS = VIEWS


def sent(
    provider: str = "postmark", *, name: str = "ana", course: Course | None = None
) -> Delivery:
    """Return a message that the provider has accepted, with the id by which it names it."""
    learner = make_learner(email=f"{name.title()}@Example.org")
    given = f"19421{zlib.crc32(name.encode())}"
    if provider == "mailgun":
        given = f"<{given}@mail.example.org>"
    return make_counted(
        make_evaluated(course or make_live_course(), learner),
        SENT_AT,
        address=learner.email,
        provider_id=f"{provider}:{given}",
    )


def said(delivery: Delivery, kind: str) -> Said:
    given = delivery.provider_id.partition(":")[2]
    return Said(kind, given, recipient=delivery.address.lower(), at=OPENED_AT)


def post(provider: str, written: Post, client: Client | None = None) -> HttpResponse:
    client = client or Client(enforce_csrf_checks=True)
    return client.post(
        f"/webhooks/email/{provider}/",
        data=written.body,
        content_type=written.content_type,
        headers=written.headers,
    )


def report(provider: str, delivery: Delivery, kind: str) -> HttpResponse:
    return post(provider, WRITERS[provider](said(delivery, kind)))


def logged(delivery: Delivery) -> list[str]:
    found = Event.objects.filter(enrollment=delivery.enrollment)
    return sorted(found.values_list("verb", flat=True))


STATES = {"delivered": "delivered", "hard": "bounced", "complained": "complained"}


@pytest.mark.slow
@pytest.mark.parametrize("provider", WRITERS)
@pytest.mark.sampled(3)
def test_each_report_lands_once_and_acts_as_it_must(provider: str) -> None:
    course = make_live_course()
    kinds = [kind for kind in KINDS if (provider, kind) not in SILENT]
    deliveries = {kind: sent(provider, name=kind, course=course) for kind in kinds}

    for kind, delivery in deliveries.items():
        for _ in range(3):
            assert report(provider, delivery, kind).status_code == 200, kind
    recover(now=MUCH_LATER)

    assert TrackingEvent.objects.count() == len(kinds)
    assert not PendingNo.objects.exists()
    for kind, delivery in deliveries.items():
        check_log(delivery, kind)
        delivery.refresh_from_db()
        # Mandrill says that it sent a message, and never that it arrived.
        only_sent = (provider, kind) == ("mandrill", "delivered")
        assert delivery.state == ("handed_off" if only_sent else STATES.get(kind, "handed_off"))
    suppressed = dict(Suppression.objects.values_list("address", "reason"))
    assert suppressed == {
        "hard@example.org": "bounced",
        "complained@example.org": "complained",
    }
    stopped = {each.mailbox: (each.state, each.source) for each in Consent.objects.all()}
    noes = {"complained", "unsubscribed"} & set(kinds)
    assert stopped == {f"{kind}@example.org": ("out", "webhook") for kind in noes}


def check_log(delivery: Delivery, kind: str) -> None:
    entries = list(Event.objects.filter(enrollment=delivery.enrollment))
    assert [each.verb for each in entries] == ([VERBS[kind]] if kind in VERBS else [])
    for entry in entries:
        assert entry.occurred_at == OPENED_AT
        assert entry.properties["delivery"] == str(delivery.key)
        assert entry.properties.get("link", LINK) == LINK
        assert entry.properties.get("bounce_type", kind) == kind
        assert entry.properties.get("machine", False) is False


@pytest.mark.parametrize("kind", ["hard", "complained", "unsubscribed"])
def test_nothing_goes_out_after_a_report_even_before_a_stage_applies_it(kind: str) -> None:
    delivery = sent()
    waiting = make_delivery(delivery.enrollment)

    report("postmark", delivery, kind)
    mark_evaluated(delivery.enrollment)

    assert dispatch(NOW)[0] == []
    waiting.refresh_from_db()
    assert waiting.state == "dropped"


def test_praise_is_no_complaint() -> None:
    delivery = sent("amazon_ses")

    report("amazon_ses", delivery, "praised")
    recover(now=MUCH_LATER)

    delivery.refresh_from_db()
    assert (delivery.state, logged(delivery)) == ("handed_off", [])
    assert not Suppression.objects.exists()
    assert not Consent.objects.exists()


def test_soft_bounce_is_counted_and_stops_nothing() -> None:
    delivery = sent()

    report("postmark", delivery, "soft")

    assert Receipt.objects.get(delivery=delivery).soft_bounced_at == OPENED_AT
    make_delivery(delivery.enrollment)
    mark_evaluated(delivery.enrollment)
    assert len(dispatch(NOW)[0]) == 1


def wrong(provider: str, written: Post) -> Post:
    """Return the request with another signature or login."""
    headers = {
        name: base64.b64encode(b"hook:guess").decode()
        if name == "Authorization"
        else "0" * len(text)
        for name, text in written.headers.items()
        if not name.startswith("x-amz")
    }
    kept = {name: text for name, text in written.headers.items() if name not in headers}
    body = written.body.replace(b'"signature": "', b'"signature": "0')
    if provider == "unisender_go":
        body = written.body.replace(b'"auth": "', b'"auth": "0')
    return Post(body, written.content_type, kept | headers)


# Their proof is in the body.
IN_THE_BODY = {"mailgun", "unisender_go"}


def test_report_with_a_wrong_signature_or_login_is_refused() -> None:
    delivery = sent()
    for provider, write in WRITERS.items():
        right = write(said(delivery, "complained"))
        assert post(provider, wrong(provider, right)).status_code == 401, provider
        if provider not in IN_THE_BODY:
            bare = Post(right.body, right.content_type, {})
            assert post(provider, bare).status_code == 401, provider

    assert not TrackingEvent.objects.exists()


@pytest.mark.parametrize("body", [b"", b"[", b"{}", b"[]", b"null", b'"a"', b"\xff\xfe", b"[1]"])
def test_report_that_cannot_be_read_costs_nothing(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = sent()
    for provider, write in WRITERS.items():
        written = write(said(delivery, "opened"))
        answer = post(provider, Post(body, written.content_type, written.headers))
        assert answer.status_code in (200, 400, 401), provider

    assert not TrackingEvent.objects.exists()
    assert KEY not in caplog.text


def test_provider_that_is_not_configured_has_no_address(settings: Any) -> None:
    settings.EMAIL_WEBHOOKS = {"postmark": VIEWS["postmark"]}
    delivery = sent("brevo")

    assert report("brevo", delivery, "hard").status_code == 404
    assert not TrackingEvent.objects.exists()


@pytest.mark.parametrize("method", ["get", "head"])
def test_provider_may_ask_whether_the_address_exists(method: str) -> None:
    answer = getattr(Client(), method)("/webhooks/email/mandrill/")

    assert (answer.status_code, answer.content) == (200, b"")


def test_body_of_fifty_megabytes_is_refused_before_it_is_read() -> None:
    class Unread(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("The body was read.")

    answer = Client().generic(
        "POST",
        "/webhooks/email/postmark/",
        headers={"Content-Length": str(50 * 1024 * 1024)},
        **{"wsgi.input": Unread()},
    )

    assert answer.status_code == 413


@pytest.mark.slow
def test_report_of_two_thousand_events_takes_few_statements(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    delivery = sent("sendgrid")
    one = json.loads(WRITERS["sendgrid"](said(delivery, "opened")).body)[0]
    events = [one | {"timestamp": one["timestamp"] + number} for number in range(2_000)]
    written = WRITERS["sendgrid"](said(delivery, "opened"))
    many = Post(json.dumps(events).encode(), written.content_type, written.headers)

    with django_assert_max_num_queries(60):
        assert post("sendgrid", many).status_code == 200
    assert TrackingEvent.objects.count() == 2_000
