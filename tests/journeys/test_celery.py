"""A real worker and a real beat on Valkey: an event goes in, an email comes out, nobody helps."""

import time
from datetime import timedelta

import pytest
from django.db.models import Max

from activity.operations import ingest
from common.clock import utc_now
from config.models import StageRun
from interventions.models import Category, Delivery
from interventions.operations import CadenceFields, StepFields, save_cadence, save_template
from segmentation.stages.evaluate import evaluate_due
from tests.factories import make_course, make_enrollment, make_event, make_learner
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

# Thirty are promised; a machine that is busy with other things may take longer.
SECONDS_FROM_EVENT_TO_EMAIL = 120.0
# How long two Python processes may take to import everything before their first beat.
SECONDS_TO_START = 120.0


def make_live_course():
    """Return a course of these weeks that is live, with a cadence for those who act."""
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


def wait_until(happened, *, seconds):
    """Return how long it took until the function returned something true."""
    started = time.monotonic()
    while not happened():
        assert time.monotonic() - started < seconds, f"did not happen within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - started


def wait_for_beats(stage, number):
    """Wait until the stage has begun so many times from now on."""

    def last_begin():
        return StageRun.objects.filter(stage=stage).aggregate(last=Max("started_at"))["last"]

    for _ in range(number):
        before = last_begin()
        wait_until(lambda before=before: last_begin() != before, seconds=SECONDS_TO_START)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_event_becomes_an_email_with_no_command_in_between(smtp_sink, celery_processes):
    course = make_live_course()
    cy = make_enrollment(course, make_learner(name="Cy Young", email="cy@example.org"))
    # Bo shows that the worker is up; what is measured then is the path, not the start.
    bo = make_enrollment(course, make_learner(name="Bo", email="bo@example.org"))
    evaluate_due(now=utc_now())

    with celery_processes(env=smtp_sink.environment):
        ingest([make_event(bo, occurred_at=utc_now())], now=utc_now())
        wait_until(lambda: smtp_sink.of("bo@example.org"), seconds=SECONDS_TO_START)

        ingest([make_event(cy, occurred_at=utc_now())], now=utc_now())
        taken = wait_until(
            lambda: smtp_sink.of("cy@example.org"), seconds=SECONDS_FROM_EVENT_TO_EMAIL
        )
        wait_until(
            lambda: Delivery.objects.filter(state="handed_off").count() == 2,
            seconds=SECONDS_FROM_EVENT_TO_EMAIL,
        )
        # Nothing goes out twice.
        wait_for_beats("dispatch", 3)

    print(f"from event to email: {taken:.1f} s")
    (message,) = smtp_sink.of("cy@example.org")
    assert message["Subject"] == "Well done, Cy"
    assert len(smtp_sink.of("bo@example.org")) == 1
