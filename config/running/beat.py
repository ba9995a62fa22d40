"""The beat's scheduler: every stage each five seconds, by the process's own steady clock."""

import time

from amqp.exceptions import ChannelError
from celery.beat import ScheduleEntry, Scheduler
from celery.utils.log import get_logger

# Each stage finds its own work in the database, so a beat that is lost costs five seconds.
SECONDS_BETWEEN_BEATS = 5.0

log = get_logger(__name__)


class StageScheduler(Scheduler):
    """Sends each stage's task at every beat, unless one still waits in the stage's queue.

    It keeps nothing: Celery's own scheduler notes the wall clock's last run in a file, and one
    noted while the clock was an hour ahead silences every beat of the next hour, over restarts too.
    """

    _next_beat = 0.0

    def tick(self) -> float:  # type: ignore[override]
        """Send what a beat sends once its time has come; return the seconds until the next."""
        # Not the wall clock: one that is set back an hour would make this wait for an hour.
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + SECONDS_BETWEEN_BEATS
            self._beat()
        return max(0.0, self._next_beat - time.monotonic())

    def _beat(self) -> None:
        try:
            for entry in self.schedule.values():
                if not self._is_waiting(entry):
                    self.send_task(entry.task, producer=self.producer, retry=False)
        except self.connection.recoverable_connection_errors as error:
            # The next beat does the same work. A trace a stage and beat would bury the reason.
            log.warning("The broker does not take the beat: %s", error)

    def _is_waiting(self, entry: ScheduleEntry) -> bool:
        """Return whether a task of the stage waits: while workers are busy, one does for ten.

        A task that expires would do the same only between machines whose clocks agree: by the
        clock of a worker that is 8 s ahead, each task of a beat has long expired.
        """
        queue = self.app.amqp.router.route({}, entry.task or "")["queue"]
        try:
            return bool(queue.bind(self.producer.channel).queue_declare(passive=True)[1])
        except ChannelError:
            # Redis knows no empty queue.
            return False
