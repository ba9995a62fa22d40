"""Nudges by rights, their previews and test mails."""

from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from activity.models import Course
from experiments.models import Experiment
from interventions.models import Cadence, Delivery, MailboxMessage, Nudge
from tests.interventions.factories import make_live_course
from tests.interventions.nudges.pages import (
    HTMX,
    RIGHTS,
    address,
    log_in,
    make_class,
    post,
    stop_clock,
    text_of,
    typed,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings):
    stop_clock(monkeypatch, settings)


@pytest.fixture
def segment():
    return make_class()


@pytest.fixture
def staff(client):
    log_in(client, *RIGHTS)
    return client


def test_without_the_right_to_send_it_stays_as_it_is(client, segment):
    log_in(client, *(each for each in RIGHTS if each != "send_messages"))
    key = uuid4()

    page = text_of(post(client, segment, key=key))

    assert "You cannot start it." in page
    assert "May let messages go out to learners" in page
    client.post(address("start_nudge", key), {"version": "1"})
    assert not Cadence.objects.exists()
    assert Nudge.objects.get().made_at is None


def test_without_the_right_to_create_experiments_half_is_not_held_back(client, segment):
    log_in(client, *(each for each in RIGHTS if each != "add_experiment"))
    key = uuid4()

    page = text_of(post(client, segment, key=key, hold_back="on"))

    assert "may not create experiments" in page
    client.post(address("start_nudge", key), {"version": "1"})
    assert not Experiment.objects.exists()


def test_staff_who_may_not_add_cadences_are_refused(client, segment):
    log_in(client, "view_segment", "send_messages")

    assert client.get(reverse("interventions:new_nudge")).status_code == 403
    assert client.post(address(), typed(segment)).status_code == 403


def test_learners_are_named_only_to_those_who_may_view_them(client, segment):
    log_in(client, *(each for each in RIGHTS if each != "view_learner"))

    page = text_of(client.post(address(), typed(segment, do=None), headers=HTMX))

    assert "<strong>3 learners are</strong> in it now" in page
    assert "Preview for" not in page


def test_preview_shows_the_message_to_a_member_without_the_members_links(staff, segment):
    key = uuid4()
    member = segment.memberships.order_by("-enrollment_id").first().enrollment
    post(staff, segment, key=key, preview_as=member.pk)

    answer = staff.get(reverse("interventions:nudge_preview", args=(key, 0)))

    page = answer.content.decode()
    assert "<strong>the quiz</strong>" in page
    assert "Hello Learner" in page
    assert "<strong>Subject: Try the quiz</strong>" in page
    assert "/unsubscribe/" not in page
    assert "/nudges/test-link/" in page
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("number", [0, 7])
def test_preview_of_an_unfinished_message_says_so(staff, segment, number):
    key = uuid4()
    post(staff, segment, key=key, **{"message-0-body": ""})

    answer = staff.get(reverse("interventions:nudge_preview", args=(key, number)))

    assert (answer.status_code, "write a text" in answer.content.decode()) == (200, True)


def test_test_mail_goes_to_the_user_and_counts_against_nothing(staff, segment):
    key = uuid4()

    first = text_of(post(staff, segment, key=key, do="test"))
    second = text_of(post(staff, segment, key=key, version="1", do="test"))

    assert "is on its way to bo@example.org" in first
    assert "less than 30 seconds ago" in second
    mail = MailboxMessage.objects.get()
    assert (mail.recipient, mail.subject) == ("bo@example.org", "Test: Try the quiz")
    assert "/unsubscribe/" not in f"{mail.html}{mail.text}{mail.headers}"
    assert not Delivery.objects.exists()


def test_test_mail_that_is_kept_leads_to_the_mailbox(staff, segment):
    reader = get_user_model().objects.get(username="bo")
    reader.user_permissions.add(Permission.objects.get(codename="view_mailboxmessage"))

    page = text_of(post(staff, segment, do="test"))

    assert "A test mail of each message to bo@example.org is in the <a href='/mailbox/'>" in page


def test_mail_server_that_is_away_is_said(staff, segment, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    # Nothing listens at this port.
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    page = text_of(post(staff, segment, do="test"))

    assert "The mail server cannot be reached" in page
    assert "try **the quiz**." in page


def test_another_course_is_neither_offered_nor_shown_nor_changed(staff, segment, monkeypatch):
    key = uuid4()
    post(staff, segment, key=key, do="save", name="Theirs")
    own = make_live_course(title="Own")
    monkeypatch.setattr("activity.access.courses_of", lambda user: Course.objects.filter(pk=own.pk))

    assert "Video-only" not in text_of(staff.get(reverse("interventions:new_nudge")))
    assert staff.get(address(key=key)).status_code == 404
    post(staff, segment, key=key, do="save", version="1", tab="two", name="Mine")
    assert Nudge.objects.get(key=key).name == "Theirs"


def test_user_without_an_address_is_told_so(staff, segment):
    get_user_model().objects.update(email="")

    assert "Your account has no address" in text_of(post(staff, segment, do="test"))
    assert not MailboxMessage.objects.exists()
