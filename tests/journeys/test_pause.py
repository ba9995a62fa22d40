"""Real workers in mid-send: the pause page stops them within a beat, and lets them go on."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from common.clock import utc_now
from interventions.models import Delivery
from tests.conftest import StartCelery
from tests.factories import make_course, make_enrollment
from tests.interventions.factories import make_cadence, make_delivery
from tests.journeys.test_celery import SECONDS_TO_START, wait_for_beats, wait_until
from tests.smtp import SmtpSink

MESSAGES = 300
PAGE = "/admin/interventions/sitepause/"


def plan_messages() -> None:
    now = utc_now()
    course = make_course(
        starts_on=now.date() - timedelta(days=10),
        ends_on=now.date() + timedelta(days=30),
        live_since=now - timedelta(days=10),
    )
    cadence = make_cadence()
    for _ in range(MESSAGES):
        make_delivery(
            make_enrollment(course, due_at=None),
            cadence,
            planned_at=now,
            send_at=now,
            expires_at=now + timedelta(days=1),
        )


def sent() -> int:
    return Delivery.objects.filter(state="handed_off").count()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_pause_holds_within_a_beat_what_is_being_sent(
    client: Client, smtp_sink: SmtpSink, celery_processes: StartCelery
) -> None:
    client.force_login(get_user_model().objects.create_superuser("ana"))
    plan_messages()

    with celery_processes(env=smtp_sink.environment):
        wait_until(lambda: sent() > 0, seconds=SECONDS_TO_START)
        client.post(PAGE, {"hold": "1", "reason": "A wrong text goes out"})
        # A beat that began before may have a message in hand.
        wait_for_beats("dispatch", 2)
        held = MESSAGES - sent()
        wait_for_beats("dispatch", 1)
        assert MESSAGES - sent() == held > 0

        client.post(PAGE, {"release": "1"})
        wait_until(lambda: sent() == MESSAGES, seconds=SECONDS_TO_START)
