"""What was sent is kept word for word, once per message."""

import pytest

from activity.models import Learner
from interventions.channels import Answer, Result, Shown
from interventions.channels.memory import MemoryConnection, memory_channel
from interventions.models import Delivery, SentMessage, SentPage
from interventions.operations.sent import SentRow, keep_sent
from interventions.stages.dispatch import dispatch_due
from tests.factories import NOW
from tests.interventions.factories import make_cadence, make_delivery, make_template
from tests.smtp import SmtpSink

pytestmark = pytest.mark.django_db

BODY = '<p>Hello {{ learner.first_name | default: "there" }}</p><p><a href="https://x.example/">Go</a></p>'


def send(channel=None, *, now=NOW):
    channels = None if channel is None else {"email": channel}
    return dispatch_due(clock=lambda: now, channels=channels)


def test_a_message_is_kept_as_the_mail_server_got_it(smtp_sink: SmtpSink, settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_sink.host, smtp_sink.port
    cadence = make_cadence(template=make_template(en=("Grüße, {{ course.title }}", BODY)))
    first, second = (make_delivery(cadence=cadence) for _ in range(2))

    assert send() == {"handed_off": 2}

    for delivery in (first, second):
        kept = SentMessage.objects.select_related("page").get(delivery=delivery)
        (mail,) = smtp_sink.of(delivery.learner.email)
        assert kept.subject == mail["Subject"]
        assert kept.html == mail.get_body(["html"]).get_content().replace("\r\n", "\n").rstrip("\n")
        assert kept.text == mail.get_body(["plain"]).get_content().replace("\r\n", "\n")
        assert kept.sender == mail["From"]
        assert kept.locale == "en"
    assert SentPage.objects.count() == 1


def test_a_second_attempt_takes_the_place_of_the_first() -> None:
    answers = [Answer(Result.NOT_ACCEPTED, "452 later"), Answer(Result.HANDED_OFF)]
    connection = MemoryConnection(lambda message: answers.pop(0))
    delivery = make_delivery(cadence=make_cadence(template=make_template(en=("Hello", BODY))))

    assert send(memory_channel(connection)) == {"planned": 1}
    assert SentMessage.objects.get().delivery == delivery
    Learner.objects.filter(pk=delivery.learner_id).update(name="Bo Renamed")
    delivery.refresh_from_db()
    assert send(memory_channel(connection), now=delivery.send_at) == {"handed_off": 1}

    kept = SentMessage.objects.get()
    assert "Hello Bo" in kept.html
    assert kept.html == connection.sent[0].html


def test_a_ghost_and_a_text_that_fails_leave_no_message() -> None:
    template = make_template()
    template.texts.update(body="{{ 8 | divided_by: progress.modules_total }}")
    failing = make_delivery(cadence=make_cadence(template=template))
    fine = make_delivery()
    make_delivery(ghost=True)

    assert send(memory_channel(MemoryConnection())) == {"handed_off": 1, "failed": 1, "ghost": 1}

    assert [each.delivery for each in SentMessage.objects.all()] == [fine]
    assert Delivery.objects.get(pk=failing.pk).reason == "render_error"


@pytest.mark.parametrize("html", ["", "<p>A page of another kind</p>", "<!DOCTYPE html><html>"])
def test_html_of_another_page_is_kept_whole(html: str) -> None:
    delivery = make_delivery()

    keep_sent([SentRow(delivery.pk, Shown("Hello", html, "text\x00"), "en")])

    kept = SentMessage.objects.get()
    assert (kept.html, kept.page, kept.text) == (html, None, "text")


def test_many_messages_take_one_statement(django_assert_num_queries) -> None:
    deliveries = [make_delivery() for _ in range(3)]
    rows = [SentRow(each.pk, Shown("Hello", "<p>x</p>", "x"), "en") for each in deliveries]

    with django_assert_num_queries(1):
        keep_sent(rows)
    with django_assert_num_queries(0):
        keep_sent([])

    assert SentMessage.objects.count() == 3
