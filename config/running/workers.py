"""The stages, each with its own queue, and the workers of one machine."""

import sys
from collections.abc import Sequence

# The name of a stage is the name of its queue.
STAGES = {
    "evaluate": "segmentation.tasks.evaluate_due_task",
    "react": "interventions.tasks.react_task",
    "plan": "interventions.tasks.plan_task",
    "dispatch": "interventions.tasks.dispatch_task",
    "recover": "interventions.tasks.recover_task",
}
# The workers of one machine and their stages. After a large import, evaluation is busy for minutes,
# with half a minute per run. In a shared pool its runs would take all slots, and no message would
# go out until the import is processed.
WORKERS = {
    "evaluate worker": ("evaluate",),
    "worker": tuple(stage for stage in STAGES if stage != "evaluate"),
}
APP = "config.celery"
# Workers need nothing of each other, so they exchange no messages about themselves. A worker that
# sends its heartbeat while the broker is down would wait there without a word in its log.
_ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")


def celery_command(*arguments: str, app: str = APP) -> list[str]:
    """Return the command line of a Celery program of this project."""
    return [sys.executable, "-m", "celery", "--quiet", "-A", app, *arguments]


def worker_commands(*, app: str = APP) -> dict[str, list[str]]:
    """Return the command lines of the workers of one machine by name."""
    first, second = WORKERS
    return {
        first: _worker("evaluate", slots=1, queues=WORKERS[first], app=app),
        second: _worker("stages", slots=2, queues=WORKERS[second], app=app),
    }


def _worker(name: str, *, slots: int, queues: Sequence[str], app: str) -> list[str]:
    # Two workers of one machine must have different names, or Celery confuses them.
    options = ["--hostname", f"{name}@%h", "--queues", ",".join(queues)]
    options += ["--concurrency", str(slots), "--loglevel", "WARNING", *_ALONE]
    return celery_command("worker", *options, app=app)
