"""The Celery app and its beat: one entry a stage, and no stage calls the next."""

import warnings

from celery import Celery
from celery.exceptions import SecurityWarning
from django.conf import settings

from config.startup import prepare

prepare()

# Each stage finds its own work in the database, so a beat that is lost costs five seconds.
SECONDS_BETWEEN_BEATS = 5
STAGES = (
    "segmentation.tasks.evaluate_due_task",
    "interventions.tasks.react_task",
    "interventions.tasks.plan_task",
    "interventions.tasks.dispatch_task",
    "interventions.tasks.recover_task",
)

# In a container everything runs as root, and messages are plain JSON: nothing in them is executed.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("nudgelab")
app.conf.update(
    # The broker library has its own name for a server behind a unix socket.
    broker_url=settings.REDIS_URL.replace("unix://", "redis+socket://", 1),
    # A worker waits for a broker that is away, however long, instead of ending.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_ignore_result=True,
    # A stage stops by itself after half a minute. One that hangs is ended before the lease of a
    # claimed delivery runs out, so that nobody else takes the delivery while it still lives.
    task_time_limit=600,
    worker_prefetch_multiplier=1,
    beat_schedule_filename=str(settings.VAR_DIR / "celerybeat-schedule"),
    beat_schedule={
        stage: {
            "task": stage,
            "schedule": SECONDS_BETWEEN_BEATS,
            # While all workers are busy beats must not pile up: one waiting beat does the same.
            "options": {"expires": SECONDS_BETWEEN_BEATS},
        }
        for stage in STAGES
    },
    timezone="UTC",
)
app.autodiscover_tasks()
