"""Admin pages of what was sent and reported: open for any row, without keys of learners."""

import pytest
from anymail.signals import AnymailTrackingEvent
from django.test import Client
from django.urls import reverse

from interventions.models import SentMessage, TrackingEvent
from interventions.tracking.reports import report_of
from tests.factories import NOW
from tests.interventions.factories import make_delivery

KEY = "aVeryLongKeyOfALearner"
ADDRESS = f"https://courses.example.org/unsubscribe/{KEY}/"


@pytest.mark.django_db
def test_an_event_of_an_unknown_message_can_be_looked_at(admin_client: Client) -> None:
    event = TrackingEvent.objects.create(
        digest="1",
        provider="postmark",
        kind="opened",
        happened_at=NOW,
        received_at=NOW,
        retry_at=NOW,
    )

    for address in (
        reverse("admin:interventions_trackingevent_changelist"),
        reverse("admin:interventions_trackingevent_changelist") + "?waiting=unknown",
        reverse("admin:interventions_trackingevent_change", args=(event.pk,)),
    ):
        assert "postmark" in admin_client.get(address).text, address


@pytest.mark.django_db
def test_a_message_as_sent_shows_its_lines_and_no_key_of_its_learner(admin_client: Client) -> None:
    text = f"Hello Ana,\ntry the quiz.\nUnsubscribe: {ADDRESS}"
    sent = SentMessage.objects.create(
        delivery=make_delivery(), subject="Hello", text=text, locale="en", fillings=[ADDRESS]
    )

    page = admin_client.get(reverse("admin:interventions_sentmessage_change", args=(sent.pk,))).text

    assert "Hello Ana,<br>try the quiz." in page
    assert KEY not in page


def test_a_reported_click_on_a_learners_page_is_kept_without_its_key() -> None:
    event = AnymailTrackingEvent(event_type="clicked", click_url=ADDRESS)

    report = report_of(event, provider="postmark")

    assert report is not None
    assert report.link == "https://courses.example.org/unsubscribe/[hidden]/"
