"""A connection to the broker that goes silent, on real processes."""

import socket

import pytest

from activity.models import Due
from tests import silent_proxy
from tests.conftest import StartCelery
from tests.factories import make_course, make_enrollment
from tests.processes import wait_until


def evaluated(enrollment_id: int) -> bool:
    return Due.objects.filter(pk=enrollment_id, evaluated_at__isnull=False).exists()


def connect(address: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address.removeprefix("unix://"))
    return connection


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_worker_and_beat_leave_connections_that_went_silent(
    celery_processes: StartCelery, valkey_url: str
) -> None:
    with silent_proxy.serve(lambda: connect(valkey_url)) as proxy:
        env = {"REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
        with celery_processes(env=env) as started:
            first = make_enrollment(make_course())
            assert wait_until(lambda: evaluated(first.pk))

            assert proxy.silence() >= 3
            second = make_enrollment(make_course())
            assert wait_until(lambda: evaluated(second.pk))
            assert [process.poll() for process in started] == [None, None, None]
