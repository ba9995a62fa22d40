"""The Celery app and its beat. There is one entry per stage. A run may wake the next stage."""

import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import beat_init, worker_init, worker_shutting_down
from django.conf import settings
from kombu import Queue

from common import stopping
from config.running.beat import SECONDS_BETWEEN_BEATS
from config.running.broker import free_unconfirmed_tasks
from config.running.startup import PRODUCTION_SETTINGS, prepare, refuse_other_schema, wait_for_rows
from config.running.wakes import start_listening
from config.running.workers import STAGES

# The default is production: a server without configured settings must not use the local ones, whose
# secret key is public. `manage.py serve` passes its settings to its children.
prepare(default_settings=PRODUCTION_SETTINGS)
free_unconfirmed_tasks()

# A broker connection that is silent but not closed, for example after a firewall has dropped it, is
# given up after these seconds. By default the broker's client waits for ever.
SECONDS_TO_ANSWER = 5
SECONDS_BETWEEN_CHECKS = 5
SECONDS_TO_WAIT_FOR_ROWS = 5

# The warning is about running as root, which is normal in a container. Task messages are plain
# JSON, so nothing in them is executed.
warnings.filterwarnings("ignore", category=SecurityWarning)

# Each stage first compares the clocks, and stores the result of its run.
app = Celery("nudgelab", task_cls="config.running.stages:StageTask")
app.conf.update(
    # The broker library has its own name for a server behind a unix socket.
    broker_url=settings.REDIS_URL.replace("unix://", "redis+socket://", 1),
    # A worker waits without limit for a broker that is down, instead of ending.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        # The worker reads its queues in turn, so no queue waits for ever behind a busy one. This is
        # the default, but we depend on it.
        "queue_order_strategy": "round_robin",
        "socket_timeout": SECONDS_TO_ANSWER,
        "socket_connect_timeout": SECONDS_TO_ANSWER,
        "socket_keepalive": True,
        "health_check_interval": SECONDS_BETWEEN_CHECKS,
    },
    # A worker without named queues serves all of these.
    task_queues=[Queue(stage) for stage in STAGES],
    task_routes={task: {"queue": stage} for stage, task in STAGES.items()},
    # A task without a stage raises. Otherwise it would wait for ever in a queue without a worker.
    task_create_missing_queues=False,
    task_ignore_result=True,
    # A stage stops by itself after half a minute. A hanging stage is ended before the lease of a
    # claimed delivery runs out, so that no other worker takes the delivery while it still runs.
    task_time_limit=600,
    worker_prefetch_multiplier=1,
    # Tasks do not expire, and the beat stores no last run. Both would compare the clocks of two
    # machines, or of one machine before and after it was set.
    beat_scheduler="config.running.beat:StageScheduler",
    beat_schedule={
        stage: {"task": task, "schedule": SECONDS_BETWEEN_BEATS} for stage, task in STAGES.items()
    },
    timezone="UTC",
)
app.autodiscover_tasks()


@worker_init.connect
def _begin_worker(**about: Any) -> None:
    # Runs in the main process, before it forks the worker processes.
    wait_for_rows(SECONDS_TO_WAIT_FOR_ROWS)
    refuse_other_schema(waits=True)


@beat_init.connect
def _begin_beat(**about: Any) -> None:
    # The beat goes on without a database, but a beat of another version may know other stages.
    refuse_other_schema(waits=True)
    start_listening()


@worker_shutting_down.connect
def _ask_to_stop(**about: Any) -> None:
    # Celery waits for running tasks but does not inform them.
    stopping.ask()
