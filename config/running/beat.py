"""The beat's scheduler: every stage every five seconds, and at once if it has work."""

import time
from collections.abc import Iterable

from amqp.exceptions import ChannelError
from celery.beat import ScheduleEntry, Scheduler
from celery.utils.log import get_logger
from kombu.exceptions import OperationalError

from config.running.wakes import WAKES

# Each stage finds its own work in the database, so a wake that is lost costs five seconds.
SECONDS_BETWEEN_BEATS = 5.0
SECONDS_BETWEEN_LOOKS = 0.05

log = get_logger(__name__)


class StageScheduler(Scheduler):
    """Sends each stage's task at every beat, unless one still waits in the stage's queue.

    Between two beats it sends those of stages that were woken.

    It stores nothing. Celery's own scheduler writes the time of the last run to a file. If the
    clock was an hour ahead then, it would send nothing for an hour, even after a restart.
    """

    _next_beat = 0.0

    def tick(self) -> float:  # type: ignore[override]
        """Send the tasks of a beat, or of stages that were woken. Return the seconds to wait."""
        # Not the wall clock: if it were set back an hour, this would wait for an hour.
        now = time.monotonic()
        woken = WAKES.take(now)
        if now >= self._next_beat:
            self._next_beat = now + SECONDS_BETWEEN_BEATS
            woken = set(self.schedule)
        self._send(entry for stage, entry in self.schedule.items() if stage in woken)
        return max(0.0, min(SECONDS_BETWEEN_LOOKS, self._next_beat - time.monotonic()))

    def _send(self, entries: Iterable[ScheduleEntry]) -> None:
        try:
            for entry in entries:
                if not self._is_waiting(entry):
                    self.send_task(entry.task, producer=self.producer, retry=False)
        except self._connection_errors as error:
            # The next beat does the same work. Many tracebacks would hide the reason.
            log.warning("The broker does not accept the beat: %s", error)

    @property
    def _connection_errors(self) -> tuple[type[Exception], ...]:
        # Celery raises the last one when a connection is lost while a task is sent.
        return (*self.connection.recoverable_connection_errors, OperationalError)

    def _is_waiting(self, entry: ScheduleEntry) -> bool:
        """Return whether a task of the stage waits. Then busy workers need no second task.

        Expiring tasks would need machines with equal clocks: a worker whose clock is 8 s ahead
        would find every task expired.
        """
        queue = self.app.amqp.router.route({}, entry.task or "")["queue"]
        try:
            return bool(queue.bind(self.producer.channel).queue_declare(passive=True)[1])
        except ChannelError:
            # In Redis an empty queue does not exist.
            return False
