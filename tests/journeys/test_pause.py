"""Real workers in mid-send: the pause page stops them within a beat, and lets them go on."""

import time
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from common.clock import utc_now
from interventions.models import Delivery
from tests.conftest import StartCelery
from tests.factories import make_course, make_enrollment
from tests.interventions.factories import make_cadence, make_delivery
from tests.journeys.test_celery import SECONDS_TO_START, wait_until
from tests.smtp import SmtpSink

MESSAGES = 300
SECONDS_OF_A_BEAT = 5.0
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


def seconds_until_quiet() -> float:
    """Return after how many seconds nothing left any more, for more than a whole beat."""
    started = last = time.monotonic()
    count = -1
    while time.monotonic() - last < 1.5 * SECONDS_OF_A_BEAT:
        assert time.monotonic() - started < 60
        if (found := sent()) != count:
            count, last = found, time.monotonic()
        time.sleep(0.05)
    return last - started


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
        took = seconds_until_quiet()
        held = MESSAGES - sent()

        client.post(PAGE, {"release": "1"})
        wait_until(lambda: sent() == MESSAGES, seconds=60)

    print(f"{held} of {MESSAGES} held; nothing left after {took:.2f} s")
    assert held > 0
    assert took < SECONDS_OF_A_BEAT
