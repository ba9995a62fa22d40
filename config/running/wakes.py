"""Listen for stages that have work, so that none waits for the next beat."""

import threading
from collections.abc import Iterator

import psycopg
from celery.utils.log import get_logger
from django.db import DatabaseError, InterfaceError, connection

from common.waking import CHANNEL, wake
from config.running.workers import STAGES

# A stage that is woken all the time runs four times a second. What arrives meanwhile is one batch.
SECONDS_BETWEEN_WAKES = 0.25
SECONDS_TO_RETRY = 5.0
# A connection that is silent but not closed is found out within this time.
SECONDS_TO_LISTEN = 60.0

# The stages for which a run with results makes work.
NEXT = {"evaluate": ("react",), "react": ("plan",), "plan": ("dispatch",)}

log = get_logger(__name__)


def wake_next(stage: str) -> None:
    """Wake the stages that have work after a run of this one."""
    for each in NEXT.get(stage, ()):
        wake(each)


class Wakes:
    """The stages that were woken and whose tasks are not sent yet."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._taken_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, stage: str) -> None:
        """Note a wake. Unknown stages are those of another release."""
        if stage in STAGES:
            with self._lock:
                self._asked.add(stage)

    def take(self, now: float) -> set[str]:
        """Return the stages whose tasks are to be sent at this instant of the monotonic clock."""
        with self._lock:
            taken = {
                stage
                for stage in self._asked
                if now - self._taken_at.get(stage, -SECONDS_BETWEEN_WAKES) >= SECONDS_BETWEEN_WAKES
            }
            self._asked -= taken
            self._taken_at |= dict.fromkeys(taken, now)
        return taken


def listen(wakes: Wakes, *, until: threading.Event) -> None:
    """Note wakes. While the database is down, the beat goes on without them."""
    while not until.is_set():
        try:
            for stage in _heard(until):
                wakes.add(stage)
        except (DatabaseError, InterfaceError, psycopg.Error) as error:
            log.warning("Stages wait for the beat until the database answers: %s", error)
            connection.close()
            until.wait(SECONDS_TO_RETRY)


def _heard(until: threading.Event) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
        # What was told before this process listened.
        yield from STAGES
        while not until.is_set():
            for told in connection.connection.notifies(timeout=SECONDS_TO_LISTEN):
                yield told.payload
            cursor.execute("SELECT 1")


WAKES = Wakes()


def start_listening() -> None:
    """Listen in a thread of its own, which ends with the process."""
    ends = {"until": threading.Event()}
    threading.Thread(target=listen, args=(WAKES,), kwargs=ends, name="wakes", daemon=True).start()
