"""What was sent is kept word for word, once per message."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from activity import access
from activity.models import Course, Learner
from config.views.learner.timeline import timeline
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


@pytest.fixture
def sent() -> Delivery:
    delivery = make_delivery(cadence=make_cadence(template=make_template(en=("To read", BODY))))
    send(memory_channel(MemoryConnection()))
    return delivery


def page_of(delivery_id: int) -> str:
    return f"/messages/{delivery_id}/"


def test_staff_read_a_message_as_it_was_sent(
    admin_client: Client, sent: Delivery, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(6):
        page = admin_client.get(page_of(sent.pk)).text

    assert "<h1>To read</h1>" in page
    assert "was sent on" in page
    assert sent.learner.email in page
    assert 'sandbox=""' in page
    assert "you act for the learner" in page
    token = re.search(r"preferences/([^/]+)/", SentMessage.objects.get().html)[1]
    assert token not in page


@pytest.mark.slow
def test_the_ledger_and_the_learner_lead_to_the_message(
    admin_client: Client, sent: Delivery
) -> None:
    waiting = make_delivery(sent.enrollment, send_at=NOW + timedelta(days=1))
    ledger = "/admin/interventions/delivery/{}/change/"

    assert f'href="{page_of(sent.pk)}"' in admin_client.get(ledger.format(sent.pk)).text
    assert page_of(waiting.pk) not in admin_client.get(ledger.format(waiting.pk)).text
    days = timeline(sent.enrollment, viewer=User(is_superuser=True), now=NOW).days
    assert {each.message_id for day in days for each in day.entries} == {sent.pk, None}


def test_a_message_of_another_course_or_without_the_right_is_not_shown(
    client: Client, sent: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get(page_of(sent.pk)).status_code == 302
    client.force_login(User.objects.create_user("helper", is_staff=True))
    assert client.get(page_of(sent.pk)).status_code == 403

    teacher = User.objects.create_user("teacher", is_staff=True)
    teacher.user_permissions.add(Permission.objects.get(codename="view_delivery"))
    client.force_login(teacher)
    assert client.get(page_of(sent.pk)).status_code == 200

    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.none())
    assert client.get(page_of(sent.pk)).status_code == 404
    assert client.get(page_of(10**30)).status_code == 404
    assert "No such message" in client.get(page_of(0)).text
