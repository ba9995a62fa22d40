"""A stop in the middle of a mail: that mail is recorded, and the others stay planned."""

import os
import signal
from collections import Counter
from pathlib import Path

import psutil
import pytest

from common.clock import utc_now
from config.celery import app
from config.running.workers import STAGES, worker_commands
from interventions.models import Delivery
from interventions.stages.dispatch import dispatch_due
from tests.faulty_smtp import PAUSE, FaultySmtp, serve
from tests.interventions.factories import (
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
)
from tests.long import longer
from tests.processes import CELERY, SECONDS_TO_FINISH, running, start_forked, wait_until

MESSAGES = 4


def make_messages() -> None:
    now = utc_now()
    course, cadence = make_live_course(live_since=now, ends_on=now.date()), make_cadence()
    for _ in range(MESSAGES):
        make_delivery(make_evaluated(course), cadence, planned_at=now, send_at=now)
    Delivery.objects.update(expires_at=now.replace(year=now.year + 1))


def states() -> Counter[str]:
    return Counter(Delivery.objects.values_list("state", flat=True))


def tell_the_worker_alone(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def tell_every_process_of_it(pid: int) -> None:
    # As systemd does by default.
    for each in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
        each.terminate()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "tell",
    [
        tell_every_process_of_it,
        *longer("test_a_stop_in_mid_send_leaves_nothing_in_doubt", tell_the_worker_alone),
    ],
)
def test_a_stop_in_mid_send_leaves_nothing_in_doubt(
    tell, valkey_url: str, tmp_path: Path, settings
) -> None:
    make_messages()
    (_, *command), log = worker_commands()["worker"], tmp_path / "log"
    with serve(FaultySmtp(stage="end", fault=PAUSE, keeps=True)) as sink, log.open("w") as out:
        address = valkey_url.replace("unix://", "redis+socket://")
        with app.connection_for_write(url=address) as broker:
            app.send_task(STAGES["dispatch"], connection=broker)
        env = {"REDIS_URL": valkey_url, **sink.environment}
        worker = start_forked(*command, env=env, preload=CELERY, log=out)
        with running(worker):
            assert sink.paused.wait(SECONDS_TO_FINISH), log.read_text()
            tell(worker.pid)
            assert wait_until(lambda: "Warm shutdown" in log.read_text())
            sink.goes_on.set()
            worker.wait(SECONDS_TO_FINISH)

        assert states() == {"handed_off": 1, "planned": MESSAGES - 1}, log.read_text()
        assert len(sink.accepted) == 1
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.port
        dispatch_due(clock=utc_now)
        assert states() == {"handed_off": MESSAGES}
        assert len(set(sink.recipients())) == len(sink.accepted) == MESSAGES
