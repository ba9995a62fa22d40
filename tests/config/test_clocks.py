"""Machines with wrong clocks: real processes with a clock set ahead."""

import time

import pytest

from activity.models import Due, Enrollment
from config.health import health
from config.models import StageRun
from config.running.workers import STAGES
from tests.conftest import StartCelery
from tests.factories import make_course, make_enrollment
from tests.processes import clock_ahead, is_said_apart, run_python, wait_until

READ_CLOCKS = """
import sys, time
from common.clock import utc_now
print(utc_now().timestamp() - float(sys.argv[1]), time.time() - float(sys.argv[1]))
"""


def evaluated(enrollment: Enrollment) -> bool:
    return Due.objects.filter(pk=enrollment.pk, evaluated_at__isnull=False).exists()


def wait_until_evaluated() -> bool:
    """Return whether the workers evaluate a learner who enrolls now."""
    new = make_enrollment(make_course())
    return wait_until(lambda: evaluated(new))


@pytest.mark.django_db(transaction=True)
def test_process_with_another_clock_uses_it_everywhere() -> None:

    said = run_python(READ_CLOCKS, str(time.time()), env=clock_ahead(3600))

    ahead = [float(one) for one in said.split()]
    assert all(3600 <= one < 3660 for one in ahead), ahead


@pytest.mark.long("tests/config/test_stages.py::test_stage_does_not_run_with_a_wrong_clock")
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_work_continues_with_a_beat_or_machine_whose_clock_is_an_hour_ahead(
    settings, valkey_url: str, celery_processes: StartCelery
) -> None:
    settings.REDIS_URL = valkey_url
    wrong = clock_ahead(3600, host="web-7")
    with celery_processes(parts=["workers"]):
        with celery_processes(parts=["beat"], beat_env=clock_ahead(3600)):
            assert wait_until_evaluated()

        with celery_processes(parts=["beat"]):
            assert wait_until_evaluated()

            # Workers and beat of another machine, whose clocks are an hour ahead.
            with celery_processes(env=wrong):
                assert wait_until(lambda: has_tried("web-7") and not health().is_red)
                assert wait_until_evaluated()

                (remark,) = health().remarks

    assert "The clock of a machine with workers is " in remark
    assert is_said_apart(remark, 3600, "ahead of")
    assert not StageRun.objects.filter(host="web-7", succeeded_at__isnull=False).exists()


@pytest.mark.long(
    "tests/config/test_health.py::test_wrong_clock_of_a_worker_is_a_remark_while_others_do_its_work"
)
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_health_explains_a_stop_if_the_only_clock_is_eight_seconds_ahead(
    settings, valkey_url: str, celery_processes: StartCelery
) -> None:
    settings.REDIS_URL = valkey_url
    enrollment = make_enrollment(make_course())

    with celery_processes(worker_env=clock_ahead(8, host="web-7")):
        assert wait_until(lambda: StageRun.objects.count() == len(STAGES))
        state = health()

    assert {fault.part for fault in state.faults} == set(STAGES)
    (remark,) = state.remarks
    assert "The clock of a machine with workers is " in remark
    assert is_said_apart(remark, 8, "ahead of")
    assert not evaluated(enrollment)


def has_tried(host: str) -> bool:
    return StageRun.objects.filter(host=host).exists()
