"""The real beat and the real workers of Celery, while their broker loses everything and dies."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import psutil
import redis
from django.db import transaction
from django.db.models import Q

from activity.models import Course
from common.clock import utc_now
from config.embedded import valkey
from config.running import workers
from interventions.models import Delivery, QuietHours
from tests.crash.outages import FOLDER
from tests.crash.verdict import Verdict, judge
from tests.crash.world import Round, Site, sending_to, settle
from tests.factories import make_learner
from tests.faulty_smtp import FaultySmtp, serve
from tests.interventions.factories import make_evaluated, make_live_course, make_run
from tests.processes import CELERY, running, start_forked, wait_until

# So many messages are due before each harm, and go out so slowly that it comes between them.
MESSAGES, PER_SECOND = 20, 5
QUICK_BEAT = "tests.quick_beat"
LEASE_IS_OVER = timedelta(minutes=16)


def serve_through(site: Site) -> Verdict:
    """Send with Celery while Valkey is flushed and killed and processes of a worker are killed."""
    # The clock is the real one here, and it may be night.
    QuietHours.objects.all().delete()
    made, course = Round({}, []), _make_course()
    with serve(FaultySmtp()) as sink:
        with _celery(sink) as worker:
            kills = 0
            for harm in (_flush_valkey, _kill_valkey, partial(_kill_children, worker)):
                # New messages, so that they need what was harmed before.
                _add_messages(made, site, course)
                kills += _while_sending(made, harm)
            assert wait_until(lambda: not _waiting(made), seconds=300), "messages are left"
        with sending_to(sink):
            settle(made, now=utc_now() + LEASE_IS_OVER)
        return judge(made, sink, kills=kills)


def _make_course() -> Course:
    now = utc_now()
    return make_live_course(
        starts_on=now.date() - timedelta(days=10),
        ends_on=now.date() + timedelta(days=30),
        live_since=now - timedelta(days=10),
    )


def _add_messages(made: Round, site: Site, course: Course) -> None:
    now = utc_now()
    begun = {"started_at": now, "next_position": 0, "next_at": now}
    with transaction.atomic():
        for _ in range(MESSAGES):
            enrollment = make_evaluated(course, make_learner())
            made.enrollments[str(len(made.enrollments))] = enrollment
            made.runs.append(make_run(enrollment, site.cadences["usual"], **begun))


def _waiting(made: Round) -> int:
    runs = Q(run__in=made.runs)
    ended = Delivery.objects.filter(runs).exclude(state="planned").count()
    return len(made.runs) - ended


def _while_sending(made: Round, harm: Callable[[], int]) -> int:
    """Do harm once a few more messages have gone out. Return the number of killed workers."""
    before = _waiting(made)
    assert wait_until(lambda: _waiting(made) < before, seconds=300), "nothing is sent"
    return harm()


def _flush_valkey() -> int:
    with redis.Redis.from_url(_address()) as client:
        client.flushall()
    return 0


def _kill_valkey() -> int:
    with redis.Redis.from_url(_address()) as client:
        pid = client.info("server")["process_id"]
    psutil.Process(pid).kill()
    time.sleep(2)
    valkey.ensure_running(_folder())
    return 0


def _kill_children(worker: int) -> int:
    processes = psutil.Process(worker).children()
    for process in processes:
        process.kill()
    return len(processes)


def _folder() -> Path:
    return Path(os.environ[FOLDER], "valkey")


def _address() -> str:
    return valkey.address(_folder())


@contextmanager
def _celery(sink: FaultySmtp) -> Iterator[int]:
    """Run the beat and the workers of one machine. Yield the process that runs dispatch."""
    log = Path(os.environ[FOLDER], "celery.log")
    beat = workers.celery_command(
        "beat", "--pidfile=", "--schedule", str(log.with_name("schedule")), app=QUICK_BEAT
    )
    commands = [*workers.worker_commands(app=QUICK_BEAT).values(), beat]
    env = sink.environment | {"REDIS_URL": _address(), "EMAIL_PER_SECOND": str(PER_SECOND)}
    with log.open("w") as output:
        started = [
            start_forked(*each[1:], env=env, preload=CELERY, log=output) for each in commands
        ]
        with running(*started):
            yield started[1].pid
