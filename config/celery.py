"""The Celery app and its beat: one entry a stage, and no stage calls the next."""

import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import beat_init, worker_init, worker_shutting_down
from django.conf import settings
from kombu import Queue

from common import stopping
from config.running.beat import SECONDS_BETWEEN_BEATS
from config.running.startup import PRODUCTION_SETTINGS, prepare, refuse_other_schema, wait_for_rows
from config.running.workers import STAGES

# A server where the settings were forgotten must not run on the local ones: their secret key is
# known to everybody. `manage.py serve` names its settings to its children.
prepare(default_settings=PRODUCTION_SETTINGS)

# A connection to the broker that goes silent without being closed, as behind a firewall that forgot
# it, is given up after these: the broker's client waits for ever by default.
SECONDS_TO_ANSWER = 5
SECONDS_BETWEEN_CHECKS = 5
SECONDS_TO_WAIT_FOR_ROWS = 5

# In a container everything runs as root, and messages are plain JSON: nothing in them is executed.
warnings.filterwarnings("ignore", category=SecurityWarning)

# Each stage compares the clocks first, and keeps what became of its run.
app = Celery("nudgelab", task_cls="config.running.stages:StageTask")
app.conf.update(
    # The broker library has its own name for a server behind a unix socket.
    broker_url=settings.REDIS_URL.replace("unix://", "redis+socket://", 1),
    # A worker waits for a broker that is away, however long, instead of ending.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        # The broker's client asks the queues in turn, the one served last at the end: no queue of a
        # worker waits for ever behind a busy one. That is its default, but we depend on it.
        "queue_order_strategy": "round_robin",
        "socket_timeout": SECONDS_TO_ANSWER,
        "socket_connect_timeout": SECONDS_TO_ANSWER,
        "socket_keepalive": True,
        "health_check_interval": SECONDS_BETWEEN_CHECKS,
    },
    # A worker that is given no queues serves all of these.
    task_queues=[Queue(stage) for stage in STAGES],
    task_routes={task: {"queue": stage} for stage, task in STAGES.items()},
    # A task without a stage would wait for ever in a queue that nobody serves: it raises instead.
    task_create_missing_queues=False,
    task_ignore_result=True,
    # A stage stops by itself after half a minute. One that hangs is ended before the lease of a
    # claimed delivery runs out, so that nobody else takes the delivery while it still lives.
    task_time_limit=600,
    worker_prefetch_multiplier=1,
    # No task expires, and no run of the beat is kept: both compare the clocks of two machines, or
    # of one machine before and after it was set.
    beat_scheduler="config.running.beat:StageScheduler",
    beat_schedule={
        stage: {"task": task, "schedule": SECONDS_BETWEEN_BEATS} for stage, task in STAGES.items()
    },
    timezone="UTC",
)
app.autodiscover_tasks()


@worker_init.connect
def _begin_worker(**about: Any) -> None:
    # In the first process, before it forks those that work.
    wait_for_rows(SECONDS_TO_WAIT_FOR_ROWS)
    refuse_other_schema(waits=True)


@beat_init.connect
def _begin_beat(**about: Any) -> None:
    # It never asks the database itself. But one of another version may know other stages.
    refuse_other_schema(waits=True)


@worker_shutting_down.connect
def _ask_to_stop(**about: Any) -> None:
    # Celery waits for the tasks that run, and tells them nothing.
    stopping.ask()
