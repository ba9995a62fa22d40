"""Mail providers over HTTP: keys against repeats, and what their refusals prove."""

import json
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage

from interventions.channels import Answer, Result
from interventions.channels.email import EMAIL, EmailConnection
from interventions.models import Delivery
from interventions.stages.dispatch import dispatch_due
from tests.factories import NOW, make_learner
from tests.http_sink import HttpSink
from tests.interventions.factories import make_cadence, make_delivery, make_evaluated

pytestmark = pytest.mark.django_db

DATE = "Tue, 30 Sep 2025 12:00:00 +0000"
BACKENDS = {
    "resend": ("anymail.backends.resend.EmailBackend", b'{"id": "an-id"}'),
    "brevo": ("anymail.backends.brevo.EmailBackend", b'{"messageId": "an-id"}'),
    "postmark": ("anymail.backends.postmark.EmailBackend", b'{"ErrorCode": 0, "Message": "OK"}'),
}


def go_through(name: str, sink: HttpSink, settings) -> None:
    settings.EMAIL_BACKEND, sink.answer = BACKENDS[name]
    upper = name.upper()
    key = "POSTMARK_SERVER_TOKEN" if name == "postmark" else f"{upper}_API_KEY"
    settings.ANYMAIL = {key: "key", f"{upper}_API_URL": sink.url}


@pytest.fixture
def resend(http_sink: HttpSink, settings) -> HttpSink:
    go_through("resend", http_sink, settings)
    return http_sink


def make_mail() -> Delivery:
    learner = make_learner(email="ana@example.org")
    return make_delivery(make_evaluated(learner=learner), make_cadence())


def dispatch(now=NOW) -> dict[str, int]:
    return dict(dispatch_due(clock=lambda: now, channels={"email": EMAIL}))


def sent_to(url: str, settings) -> Answer:
    settings.ANYMAIL = {"RESEND_API_KEY": "key", "RESEND_API_URL": url}
    connection = EmailConnection()
    connection.open()
    mail = EmailMessage("s", "b", "a@example.org", ["b@example.org"])
    mail.extra_headers |= {"Message-ID": "<key@host>", "Date": DATE}
    return connection.send(mail)


def test_resend_gets_the_delivery_as_its_key(resend: HttpSink) -> None:
    first, second = make_mail(), make_mail()

    assert dispatch() == {"handed_off": 2}

    keys = [each.headers["idempotency-key"] for each in resend.posted]
    assert sorted(keys) == sorted([str(first.key), str(second.key)])


def test_a_mail_that_is_sent_again_has_the_same_key(resend: HttpSink) -> None:
    delivery = make_mail()
    delivery.category.in_doubt_policy = "prefer_delivery"
    delivery.category.save()
    resend.drop = True
    assert dispatch() == {"in_doubt": 1}
    Delivery.objects.update(state="planned", reason="sent_again", doubted=True)
    resend.drop = False

    assert dispatch(NOW + timedelta(minutes=5)) == {"handed_off": 1}

    keys = {each.headers["idempotency-key"] for each in resend.posted}
    assert (len(resend.posted), keys) == (2, {str(delivery.key)})


def test_brevo_gets_the_key_among_the_headers_of_the_mail(http_sink: HttpSink, settings) -> None:
    go_through("brevo", http_sink, settings)
    delivery = make_mail()

    assert dispatch() == {"handed_off": 1}

    body = json.loads(http_sink.posted[0].body)
    assert body["headers"]["idempotencyKey"] == str(delivery.key)


def test_another_provider_gets_no_key(http_sink: HttpSink, settings) -> None:
    go_through("postmark", http_sink, settings)
    make_mail()

    dispatch()

    assert "idempotency" not in str(http_sink.posted).lower()


def test_a_provider_that_asks_to_wait_is_left_alone(resend: HttpSink) -> None:
    delivery, other = make_mail(), make_mail()
    resend.status, resend.headers = 429, {"Retry-After": "300"}

    assert dispatch() == {"planned": 1}

    delivery.refresh_from_db()
    other.refresh_from_db()
    # One mail was tried, and its attempt does not count.
    assert len(resend.asked) == 1
    assert {delivery.attempts, other.attempts} == {0}
    waiting = Delivery.objects.get(reason="channel_down")
    assert waiting.send_at >= NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (400, Result.REFUSED),
        (422, Result.REFUSED),
        (401, Result.CHANNEL_DOWN),
        (403, Result.CHANNEL_DOWN),
        (408, Result.NOT_ACCEPTED),
        (429, Result.CHANNEL_DOWN),
        (503, Result.CHANNEL_DOWN),
        (500, Result.IN_DOUBT),
        (502, Result.IN_DOUBT),
    ],
)
def test_a_status_proves_what_it_says(
    resend: HttpSink, settings, status: int, result: Result
) -> None:
    resend.status = status

    answer = sent_to(resend.url, settings)

    assert answer.result is result
    assert str(status) in answer.detail


def test_a_provider_that_cannot_be_reached_got_nothing(resend: HttpSink, settings) -> None:
    assert sent_to("http://127.0.0.1:1", settings).result is Result.CHANNEL_DOWN


def test_a_provider_that_gives_no_answer_may_have_the_mail(resend: HttpSink, settings) -> None:
    resend.drop = True

    assert sent_to(resend.url, settings).result is Result.IN_DOUBT


def test_a_backend_of_django_gets_no_key() -> None:
    connection = EmailConnection()
    connection.open()
    mail = EmailMessage("s", "b", "a@example.org", ["b@example.org"])

    assert connection.send(mail).result is Result.HANDED_OFF
    assert mail.extra_headers == {}
