"""Real workers and a beat on Valkey turn an event into an email without help of the test."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db.models import Max
from django.test import Client

from activity.models import Course
from activity.operations import ingest
from common.clock import utc_now
from config.models import StageRun
from interventions.models import Category, Delivery
from interventions.operations import CadenceFields, StepFields, save_cadence, save_template
from segmentation.stages.evaluate import evaluate_due
from tests.conftest import StartCelery
from tests.factories import make_course, make_enrollment, make_event, make_learner
from tests.interventions.factories import make_cadence, make_delivery
from tests.processes import wait_until
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment
from tests.smtp import SmtpSink

MESSAGES = 150
PAGE = "/admin/interventions/sitepause/"


def make_live_course():
    """Return a live course of these weeks, with a cadence for learners who act."""
    now = utc_now()
    course = make_course(
        starts_on=now.date() - timedelta(days=10),
        ends_on=now.date() + timedelta(days=30),
        live_since=now - timedelta(days=10),
    )
    segment = make_segment(make_playbook(course), ACTED_TODAY, now=now)
    category = Category.objects.create(key="nudges", name="Nudges")
    template = save_template(
        "well-done",
        name="Well done",
        category=category,
        texts={
            "en": ("Well done, {{ learner.first_name | default: 'you' }}", "<p>You are back.</p>")
        },
    )
    fields = CadenceFields(name="Well done", category=category, segment=segment)
    save_cadence("well-done", fields=fields, steps=[StepFields(template)])
    return course


def wait_for(happened: Callable[[], object]) -> None:
    assert wait_until(lambda: bool(happened())), "it did not happen"


def wait_for_beats(stage: str, number: int) -> None:
    """Wait until the stage has begun `times` more times."""

    def last_begin() -> datetime | None:
        return StageRun.objects.filter(stage=stage).aggregate(last=Max("started_at"))["last"]

    for _ in range(number):
        before = last_begin()
        wait_for(lambda before=before: last_begin() != before)


def sent() -> int:
    return Delivery.objects.filter(state="handed_off").count()


def wait_for_all() -> None:
    """Wait until all messages are sent, however long a busy machine takes for so many."""
    while (before := sent()) < MESSAGES + 1:
        wait_for(lambda before=before: sent() > before)


def plan_messages(course: Course, number: int) -> None:
    now, cadence = utc_now(), make_cadence()
    for _ in range(number):
        enrollment = make_enrollment(course, due_at=None)
        expires_at = now + timedelta(days=1)
        make_delivery(enrollment, cadence, planned_at=now, send_at=now, expires_at=expires_at)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_event_becomes_an_email_and_a_pause_holds_within_a_beat_what_is_being_sent(
    client: Client, smtp_sink: SmtpSink, celery_processes: StartCelery
) -> None:
    client.force_login(get_user_model().objects.create_superuser("ana"))
    course = make_live_course()
    cy = make_enrollment(course, make_learner(name="Cy Young", email="cy@example.org"))
    evaluate_due(now=utc_now())

    with celery_processes(env=smtp_sink.environment):
        ingest([make_event(cy, occurred_at=utc_now())], now=utc_now())
        wait_for(lambda: smtp_sink.of("cy@example.org"))
        wait_for(lambda: sent() == 1)
        # Nothing goes out twice.
        wait_for_beats("dispatch", 3)
        (message,) = smtp_sink.of("cy@example.org")
        assert message["Subject"] == "Well done, Cy"

        # Else a quick worker could have sent all before the hold.
        smtp_sink.waits = True
        plan_messages(course, MESSAGES)
        wait_for(lambda: Delivery.objects.filter(state="claimed").exists())
        client.post(PAGE, {"hold": "1", "reason": "A wrong text goes out"})
        smtp_sink.waits = False
        # A beat that began before may still send its current message.
        wait_for_beats("dispatch", 4)
        wait_for(lambda: not Delivery.objects.filter(state="claimed").exists())
        held = MESSAGES + 1 - sent()
        wait_for_beats("dispatch", 1)
        assert MESSAGES + 1 - sent() == held > 0

        client.post(PAGE, {"release": "1"})
        wait_for_all()
    assert len(smtp_sink.messages) == MESSAGES + 1
