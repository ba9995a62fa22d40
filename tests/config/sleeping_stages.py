"""The real Celery app with its stages replaced: each notes when it runs, and sleeps as told.

RUNS names the file of notes, SLEEPS the seconds of the stages that sleep, as `evaluate=20`.
"""

import os
import time
from pathlib import Path

from config.celery import app
from config.workers import STAGES

SLEEPS = dict(pair.split("=") for pair in os.environ["SLEEPS"].split(","))


def note(stage: str) -> None:
    with Path(os.environ["RUNS"]).open("a") as log:
        log.write(f"{stage} {time.time()}\n")
    time.sleep(float(SLEEPS.get(stage, 0)))


def replace(stage: str, task: str) -> None:
    # Whoever registers a name first keeps it: the real tasks are found later.
    @app.task(name=task, lazy=False)
    def run() -> None:
        note(stage)


for stage, task in STAGES.items():
    replace(stage, task)
