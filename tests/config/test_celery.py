"""A real worker and beat on a real Valkey, on the test database: nobody calls a stage by hand."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from activity.models import Due
from config.celery import STAGES, app
from config.embedded import valkey
from tests.conftest import StartCelery
from tests.factories import make_course, make_enrollment

SECONDS_TO_REACT = 30.0


def wait_until(happened: Callable[[], bool], *, seconds: float = SECONDS_TO_REACT) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.2)
    return False


def evaluated(enrollment_id: int) -> bool:
    return Due.objects.filter(pk=enrollment_id, evaluated_at__isnull=False).exists()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_beat_and_worker_evaluate_what_is_due(celery_processes: StartCelery) -> None:
    enrollment = make_enrollment(make_course())

    with celery_processes() as started:
        assert wait_until(lambda: evaluated(enrollment.pk))
        assert [process.poll() for process in started] == [None, None]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_worker_and_beat_wait_for_a_broker_that_comes_late_and_goes(
    celery_processes: StartCelery,
) -> None:
    with tempfile.TemporaryDirectory(prefix="nudgelab-late-") as folder:
        data = Path(folder) / "valkey"
        with celery_processes(env={"REDIS_URL": valkey.address(data)}) as started:
            time.sleep(3)
            valkey.ensure_running(data)
            first = make_enrollment(make_course())
            assert wait_until(lambda: evaluated(first.pk), seconds=60)

            valkey.stop(data)
            time.sleep(3)
            valkey.ensure_running(data)
            second = make_enrollment(make_course())
            assert wait_until(lambda: evaluated(second.pk), seconds=60)
            assert [process.poll() for process in started] == [None, None]
        valkey.stop(data)


def test_beats_do_not_pile_up_while_workers_are_busy() -> None:
    entries = app.conf.beat_schedule.values()

    assert {entry["task"] for entry in entries} == set(STAGES)
    assert all(entry["options"]["expires"] <= entry["schedule"] for entry in entries)
