"""Stages are woken as soon as there is work, and lose nothing if a wake is lost."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction

from activity.operations import ingest
from common.clock import utc_now
from common.waking import wake, wake_after_commit
from config.models import StageRun
from config.running import wakes
from config.running.stages import run_stage
from config.running.wakes import SECONDS_BETWEEN_WAKES, Wakes, listen
from config.running.workers import STAGES
from interventions.models import Delivery
from segmentation.stages.evaluate import evaluate_due
from tests.conftest import StartCelery
from tests.factories import make_enrollment, make_event, make_learner
from tests.journeys.test_celery import make_live_course
from tests.processes import wait_until
from tests.smtp import SmtpSink


def test_a_stage_is_woken_at_most_four_times_a_second() -> None:
    found = Wakes()
    for stage in ("evaluate", "evaluate", "dispatch", "a stage of another release"):
        found.add(stage)
    assert found.take(100.0) == {"evaluate", "dispatch"}
    found.add("evaluate")
    found.add("react")
    assert found.take(100.0 + SECONDS_BETWEEN_WAKES / 2) == {"react"}
    assert found.take(100.0 + SECONDS_BETWEEN_WAKES) == {"evaluate"}, "it was not forgotten"
    assert found.take(200.0) == set()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Iterator[Wakes]:
    """Return the wakes that a real listener hears."""
    monkeypatch.setattr(wakes, "SECONDS_TO_RETRY", 0.1)
    monkeypatch.setattr(wakes, "SECONDS_TO_LISTEN", 0.1)
    found, until = Wakes(), threading.Event()
    listening = threading.Thread(target=hear, args=(found, until))
    listening.start()
    try:
        # A listener that begins does not know what was told before.
        assert hears(found, *STAGES)
        yield found
    finally:
        until.set()
        listening.join()


def hear(found: Wakes, until: threading.Event) -> None:
    listen(found, until=until)
    connection.close()


def hears(found: Wakes, *stages: str) -> bool:
    """Wait until exactly these were heard, one after the other."""
    heard: set[str] = set()

    def is_all() -> bool:
        heard.update(found.take(time.monotonic() + 60))
        return heard == set(stages)

    return wait_until(is_all)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_only_a_commit_wakes_and_a_lost_connection_is_replaced(heard: Wakes) -> None:
    with transaction.atomic():
        wake_after_commit("plan")
        transaction.set_rollback(True)
    with transaction.atomic():
        wake_after_commit("react")
        assert heard.take(time.monotonic() + 60) == set()
    assert hears(heard, "react")

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.rowcount == 1
    # All stages: what was told in between is not known.
    assert hears(heard, *STAGES)
    wake("dispatch")
    assert hears(heard, "dispatch")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_run_with_results_wakes_the_next_stage_and_one_without_does_not(heard: Wakes) -> None:
    run_stage("evaluate", lambda: {"evaluated": 0}, host="here")
    run_stage("recover", lambda: 3, host="here")
    run_stage("plan", lambda: 2, host="here")
    assert hears(heard, "dispatch")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_event_becomes_an_email_without_any_beat(
    smtp_sink: SmtpSink, celery_processes: StartCelery
) -> None:
    course = make_live_course()
    cy = make_enrollment(course, make_learner(name="Cy Young", email="cy@example.org"))
    evaluate_due(now=utc_now())

    with celery_processes(env=smtp_sink.environment, app="tests.hourly_beat"):
        # After these runs, the next beat comes in an hour.
        first = utc_now() + timedelta(seconds=1)
        assert wait_until(
            lambda: (
                StageRun.objects.filter(ended_at__gte=first - timedelta(minutes=1)).count()
                == len(STAGES)
            )
        )
        ingest([make_event(cy, occurred_at=utc_now())], now=utc_now())
        assert wait_until(lambda: smtp_sink.of("cy@example.org"))
        assert wait_until(lambda: Delivery.objects.filter(state="handed_off").count() == 1)
