"""A worker process that is forked, does one beat of the stages it is told, and may die in it."""

import logging
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection

from common.database import is_outage
from interventions.stages.dispatch import dispatch_due
from interventions.stages.plan import plan_due
from interventions.stages.recover import recover
from tests.crash.points import Watch

Clock = Callable[[], datetime]

STAGES: dict[str, Callable[[Clock], object]] = {
    "plan": lambda clock: plan_due(now=clock()),
    "dispatch": lambda clock: dispatch_due(clock=clock),
    "recover": lambda clock: recover(now=clock()),
}
ALL_STAGES = ("plan", "dispatch", "recover")
SECONDS_TO_END = 120.0
KILL, HOLD = "kill", "hold"


@dataclass(frozen=True)
class Orders:
    """What a worker shall do, and the point at which it dies or waits."""

    now: datetime
    smtp_port: int
    stages: tuple[str, ...] = ALL_STAGES
    point: str = ""
    nth: int = 1
    act: str = KILL
    smtp_timeout: float = 20.0
    connections: int = 8


@dataclass
class Worker:
    """A running worker, seen by the process that started it."""

    process: multiprocessing.process.BaseProcess
    line: Connection

    def counts(self) -> Counter[str] | None:
        """Wait for its end. Return what it has counted, or None if it was killed."""
        self.process.join(SECONDS_TO_END)
        assert self.process.exitcode is not None, "a worker hangs"
        if self.process.exitcode == -signal.SIGKILL:
            return None
        assert self.process.exitcode == 0, f"a worker ended with {self.process.exitcode}"
        counts: Counter[str] = self.line.recv()
        return counts

    def wait(self, word: str) -> None:
        """Wait until it says the word."""
        assert self.line.poll(SECONDS_TO_END), f"it did not say {word!r} in time"
        assert self.line.recv() == word

    def kill(self) -> None:
        """Kill it as the kernel would, and wait until it is gone."""
        self.process.kill()
        self.process.join()


@contextmanager
def started(*orders: Orders) -> Iterator[list[Worker]]:
    """Start a worker for each of the orders. All are gone after the block."""
    workers = [_start(each) for each in orders]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.line.close()


def _start(orders: Orders) -> Worker:
    # Forked from a server that has loaded Django: a process of its own in a few milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.zygote.setup", "tests.crash.worker"])
    ours, theirs = context.Pipe()
    database = {name: connection.settings_dict[name] for name in ("NAME", "OPTIONS")}
    process = context.Process(target=obey, args=(orders, database, theirs), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours)


def obey(orders: Orders, database: dict[str, Any], line: Connection) -> None:
    """Do what the orders say in this process."""
    logging.disable(logging.CRITICAL)
    connection.settings_dict.update(database)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", orders.smtp_port
    settings.EMAIL_TIMEOUT = orders.smtp_timeout
    settings.EMAIL_CONNECTIONS = orders.connections

    def act() -> None:
        if orders.act == KILL:
            # In the thread that has come to the point: no other thread goes on.
            os.kill(os.getpid(), signal.SIGKILL)
        line.send("here")
        line.recv()

    watch = Watch(orders.point, orders.nth, act)
    watch.install()
    begun = time.monotonic()

    def clock() -> datetime:
        return orders.now + timedelta(seconds=time.monotonic() - begun)

    if orders.act == HOLD and not orders.point:
        act()
    for stage in orders.stages:
        try:
            STAGES[stage](clock)
        except DatabaseError as error:
            # As in a task of Celery: the next beat goes on.
            if not is_outage(error):
                raise
            connection.close()
    connection.close()
    line.send(watch.counts)
