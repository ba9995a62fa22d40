"""Mail through a real SMTP server that accepts, refuses, hangs and drops."""

import smtplib
from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest

from activity.models import Event, Learner, Section
from interventions.channels import Result
from interventions.channels.email import EMAIL, EmailConnection, classify
from interventions.channels.smtp import Stage
from interventions.models import Delivery
from interventions.render.links import read_token
from interventions.stages.dispatch import dispatch_due
from interventions.stages.recover import recover
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    make_cadence,
    make_category,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_template,
)
from tests.smtp import SmtpSink

pytestmark = pytest.mark.django_db


@pytest.fixture
def sink(smtp_sink: SmtpSink, settings) -> SmtpSink:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_sink.host, smtp_sink.port
    settings.EMAIL_TIMEOUT = 1
    return smtp_sink


def send(now=NOW):
    return dispatch_due(clock=lambda: now)


def test_a_mail_arrives_with_its_headers_and_both_parts(sink: SmtpSink) -> None:
    category = make_category(name="Study tips", list_id="tips.nudgelab.example")
    delivery = make_delivery(cadence=make_cadence(category=category))

    assert send() == {"handed_off": 1}

    (mail,) = sink.of(delivery.learner.email)
    assert mail["Subject"] == f"Next up in {delivery.enrollment.course.title}"
    assert mail["To"] == f"{delivery.learner.name} <{delivery.learner.email}>"
    assert mail["From"] == f"{delivery.enrollment.course.title} <courses@nudgelab.example>"
    assert mail["Reply-To"] is None
    assert mail["Message-ID"] == f"<{delivery.key}@testserver>"
    assert parsedate_to_datetime(mail["Date"]) == NOW
    assert mail["List-ID"] == "<tips.nudgelab.example>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = mail["List-Unsubscribe"].strip().strip("<>")
    owner = read_token(link.removeprefix("http://testserver/unsubscribe/").rstrip("/"))
    assert (owner.learner_id, owner.delivery_key) == (delivery.learner_id, delivery.key)
    assert link in mail.get_body(["html"]).get_content()
    assert link in mail.get_body(["plain"]).get_content().replace("\n", "")


@pytest.mark.parametrize(
    ("teacher", "contact", "redirect", "answers_go_to"),
    [
        ("okafor@example.org", "office@example.org", "", "okafor@example.org"),
        (None, "office@example.org", "", "office@example.org"),
        (None, None, "", None),
        ("okafor@example.org", None, "staging@example.org", None),
    ],
    ids=["teacher", "contact", "nobody", "staging"],
)
def test_replies_go_to_the_teacher_or_the_contact_of_the_course(
    sink: SmtpSink, settings, teacher, contact, redirect, answers_go_to
) -> None:
    settings.EMAIL_REDIRECT_TO = redirect
    course = make_live_course(contact_email=contact)
    enrollment = make_evaluated(course)
    section = Section.objects.create(course=course, key="monday", teacher_email=teacher)
    type(enrollment).objects.filter(pk=enrollment.pk).update(section=section)
    make_delivery(enrollment)

    assert send() == {"handed_off": 1}

    (mail,) = sink.messages
    assert mail["Reply-To"] == answers_go_to


def test_a_mail_is_from_the_course_with_any_title(sink: SmtpSink) -> None:
    make_delivery(make_evaluated(make_live_course(title='Maths, "A" <b@example.org> für alle')))

    assert send() == {"handed_off": 1}

    (mail,) = sink.messages
    (sender,) = mail["From"].addresses
    assert sender.addr_spec == "courses@nudgelab.example"
    assert sender.display_name == 'Maths, "A" <b@example.org> für alle'


def test_a_mail_says_why_it_comes_now(sink: SmtpSink) -> None:
    make_delivery(cadence=make_cadence(why_now="you have not been here for a week."))

    assert send() == {"handed_off": 1}

    (mail,) = sink.messages
    for part in ("html", "plain"):
        text = " ".join(mail.get_body([part]).get_content().split())
        assert "It comes now because you have not been here for a week." in text


def test_a_domain_with_an_accent_is_written_in_ascii(sink: SmtpSink) -> None:
    make_delivery(make_evaluated(learner=make_learner(name="Zoë", email="Ana@münchen.de")))

    assert send() == {"handed_off": 1}

    (mail,) = sink.of("Ana@xn--mnchen-3ya.de")
    assert mail["To"] == "Zoë <Ana@xn--mnchen-3ya.de>"


@pytest.mark.parametrize("evil", ["Ana\r\nBcc: all", "Ana\nSubject: Free", 'A\x00\x0b,"'])
def test_a_header_in_a_name_stays_part_of_the_name(sink: SmtpSink, evil: str) -> None:
    category = make_category()
    template = make_template(
        category,
        en=(
            "For {{ learner.name | default: 'you' }}",
            "<p>{{ learner.name | default: 'you' }}</p>",
        ),
    )
    learner = make_learner()
    # Written directly to the table, which no form checks.
    Learner.objects.filter(pk=learner.pk).update(name=evil.replace("\x00", ""))
    make_delivery(make_evaluated(learner=learner), make_cadence(template=template))

    assert send() == {"handed_off": 1}

    (mail,) = sink.messages
    assert sink.recipients == [learner.email]
    assert mail["Bcc"] is None
    assert mail.get_all("Subject") == [f"For {' '.join(evil.replace(chr(0), '').split())}"]
    assert mail["To"].addresses[0].addr_spec == learner.email


def test_a_header_in_a_course_title_stays_in_the_subject(sink: SmtpSink) -> None:
    course = make_live_course(title="Maths\r\nX-Evil: yes")
    make_delivery(make_evaluated(course))

    send()

    (mail,) = sink.messages
    assert mail["X-Evil"] is None
    assert mail["Subject"] == "Next up in Maths X-Evil: yes"


def test_staging_copies_go_to_one_address(sink: SmtpSink, settings) -> None:
    settings.EMAIL_REDIRECT_TO = "staging@example.org"
    delivery = make_delivery()

    send()

    assert sink.recipients == ["staging@example.org"]
    assert sink.messages[0]["To"] == "staging@example.org"
    assert sink.messages[0]["X-Redirected-From"] == delivery.learner.email


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "state", "reason"),
    [
        ({"refuse_recipient": "451 Try later"}, "planned", "not_accepted"),
        ({"refuse_recipient": "550 No such user"}, "failed", "refused"),
        ({"refuse_data": "452 Disk full"}, "planned", "not_accepted"),
        ({"refuse_data": "554 Spam"}, "failed", "refused"),
        ({"hang": True}, "in_doubt", ""),
        ({"drop": True}, "in_doubt", ""),
    ],
    ids=["recipient 4xx", "recipient 5xx", "data 4xx", "data 5xx", "hang", "drop after data"],
)
def test_only_proof_that_it_was_not_accepted_sends_it_again(
    sink: SmtpSink, trouble: dict, state: str, reason: str
) -> None:
    delivery = make_delivery()
    for name, value in trouble.items():
        setattr(sink, name, value)

    assert send() == {state: 1}

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (state, reason)
    assert not Event.objects.filter(verb="EMAIL_SENT").exists()

    accepted = len(sink.messages)
    sink.refuse_recipient = sink.refuse_data = None
    sink.hang = sink.drop = False
    send(NOW + timedelta(hours=1))
    recover(now=NOW + timedelta(hours=2))
    send(NOW + timedelta(hours=3))
    again = len(sink.messages) - accepted
    assert again == (1 if state == "planned" else 0)


def test_an_error_of_one_message_does_not_delay_the_next(sink: SmtpSink) -> None:
    first = make_delivery(send_at=NOW - timedelta(minutes=1))
    second = make_delivery()
    sink.drop = True
    send(NOW - timedelta(seconds=30))
    sink.drop = False

    assert send() == {"handed_off": 1}
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("in_doubt", "handed_off")


def test_a_server_that_is_down_leaves_all_messages_unclaimed(settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    delivery = make_delivery()

    assert send() == {}

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("planned", 0)


def test_a_connection_that_the_server_closed_is_opened_again(sink: SmtpSink) -> None:
    channel = EmailConnection()
    channel.open()
    channel._connection.connection.sock.close()
    delivery = make_delivery()

    counts = dispatch_due(
        clock=lambda: NOW, channels={"email": replace(EMAIL, connect=lambda: channel)}
    )

    assert counts["handed_off"] == 1
    assert len(sink.of(delivery.learner.email)) == 1


def test_prefer_delivery_sends_again_with_the_same_message_id(sink: SmtpSink) -> None:
    category = make_category(in_doubt_policy="prefer_delivery")
    delivery = make_delivery(cadence=make_cadence(category=category))
    sink.drop = True
    send()
    sink.drop = False

    recover(now=NOW + timedelta(minutes=1))
    send(NOW + timedelta(minutes=2))

    first, second = sink.of(delivery.learner.email)
    assert first["Message-ID"] == second["Message-ID"]
    assert Delivery.objects.get().state == "handed_off"
    assert Event.objects.filter(verb="EMAIL_SENT").count() == 1


DOWN, LATER, NEVER, DOUBT = (
    Result.CHANNEL_DOWN,
    Result.NOT_ACCEPTED,
    Result.REFUSED,
    Result.IN_DOUBT,
)


@pytest.mark.parametrize(
    ("error", "stage", "result"),
    [
        (smtplib.SMTPAuthenticationError(535, b"no"), None, DOWN),
        (smtplib.SMTPConnectError(421, b"busy"), None, DOWN),
        (smtplib.SMTPHeloError(500, b"what"), Stage.CONNECT, DOWN),
        (smtplib.SMTPSenderRefused(451, b"later", "a"), Stage.MAIL, DOWN),
        (smtplib.SMTPSenderRefused(553, b"never", "a"), Stage.MAIL, DOWN),
        (smtplib.SMTPSenderRefused(552, b"too large", "a"), Stage.MAIL, NEVER),
        (smtplib.SMTPSenderRefused(-1, b"gibberish", "a"), Stage.MAIL, DOWN),
        (smtplib.SMTPRecipientsRefused({"a": (450, b"later")}), Stage.RCPT, LATER),
        (smtplib.SMTPRecipientsRefused({"a": (550, b"never")}), Stage.RCPT, NEVER),
        (smtplib.SMTPRecipientsRefused({"a": (421, b"busy")}), Stage.RCPT, DOWN),
        (smtplib.SMTPRecipientsRefused({"a": (530, b"log in")}), Stage.RCPT, DOWN),
        (smtplib.SMTPRecipientsRefused({"a": (-1, b"gibberish")}), Stage.RCPT, DOWN),
        (smtplib.SMTPRecipientsRefused({}), None, DOUBT),
        (smtplib.SMTPDataError(451, b"later"), Stage.DATA, LATER),
        (smtplib.SMTPDataError(554, b"never"), Stage.END, NEVER),
        (smtplib.SMTPDataError(421, b"busy"), Stage.END, DOWN),
        (smtplib.SMTPDataError(-1, b"gibberish"), Stage.BODY, DOWN),
        (smtplib.SMTPDataError(-1, b"gibberish"), Stage.END, DOUBT),
        (smtplib.SMTPNotSupportedError("SMTPUTF8"), Stage.CONNECT, NEVER),
        (smtplib.SMTPServerDisconnected("gone"), Stage.RCPT, DOWN),
        (smtplib.SMTPServerDisconnected("gone"), Stage.BODY, DOWN),
        (smtplib.SMTPServerDisconnected("gone"), Stage.END, DOUBT),
        (smtplib.SMTPServerDisconnected("gone"), None, DOUBT),
        (TimeoutError("slow"), None, DOUBT),
        (ConnectionResetError("reset"), Stage.END, DOUBT),
        (RuntimeError("any error of a backend"), None, DOUBT),
    ],
    ids=lambda value: getattr(value, "name", f"{type(value).__name__}"),
)
def test_an_error_is_read_as_what_it_proves(
    error: Exception, stage: Stage | None, result: Result
) -> None:
    answer = classify(error, stage)

    assert answer.result is result
    assert type(error).__name__ in answer.detail
