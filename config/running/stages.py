"""One run of a stage: compare the clocks first, and store the result of the run."""

import json
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from typing import Any

from celery import Task
from django.db import DatabaseError, InterfaceError, connection

from common import stopping
from common.clock import Clock, utc_now
from common.stored_text import storable_text
from common.tally import in_words, reasons, tally
from config.running.wakes import wake_next
from config.running.workers import STAGES

# With a larger difference, a worker would send messages too early or find due work too late.
MOST_SECONDS_APART = 2.0
# The rows of a host without a run for this time are deleted.
DAYS_TO_KEEP = 7

_READ_CLOCK = "SELECT clock_timestamp()"

# The row keeps the end of the last successful run until the next one.
_BEGIN = """
INSERT INTO config_stagerun AS kept
    (stage, host, started_at, counts, totals, error, clock_difference)
VALUES (%(stage)s, %(host)s, clock_timestamp(), '{}', '{}', '', %(difference)s)
ON CONFLICT (stage, host) DO UPDATE
    SET started_at = excluded.started_at, clock_difference = excluded.clock_difference
"""

_END = """
WITH ended AS MATERIALIZED (SELECT clock_timestamp() AS at)
UPDATE config_stagerun AS run
SET ended_at = ended.at, counts = %(counts)s, error = %(error)s,
    succeeded_at = CASE WHEN %(error)s = '' THEN ended.at ELSE succeeded_at END,
    totals = (
        SELECT COALESCE(jsonb_object_agg(name, COALESCE((run.totals ->> name)::bigint, 0)
            + COALESCE((%(counts)s::jsonb ->> name)::bigint, 0)), '{}')
        FROM jsonb_object_keys(run.totals || %(counts)s::jsonb) AS name
    )
FROM ended
WHERE stage = %(stage)s AND host = %(host)s
"""

_FORGET = """
DELETE FROM config_stagerun WHERE id IN (
    SELECT id FROM config_stagerun
    WHERE stage = %(stage)s AND started_at < clock_timestamp() - make_interval(days => %(days)s)
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
"""

_SILENCE = """
SELECT stage, EXTRACT(EPOCH FROM clock_timestamp() - max(GREATEST(started_at, ended_at)))
FROM config_stagerun GROUP BY stage
"""

_STAGE_OF_TASK = {task: stage for stage, task in STAGES.items()}

log = logging.getLogger(__name__)


class StageTask(Task):  # type: ignore[type-arg]
    """A task class that runs the tasks of stages with `run_stage`, and other tasks normally."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task."""
        stage = _STAGE_OF_TASK.get(self.name or "")
        if stage is None:
            return super().__call__(*args, **kwargs)
        with stopping.signal_held_back():
            return run_stage(stage, lambda: super(StageTask, self).__call__(*args, **kwargs))


def run_stage(
    stage: str, work: Callable[[], object], *, clock: Clock = utc_now, host: str = ""
) -> None:
    """Do the work and store its counts, or its error, as the stage's last run on the host.

    If the clocks of host and database differ by more than two seconds, the work is skipped. With a
    wrong clock, messages would go out too early or due work would not be found.
    """
    at = _Place(stage, host or socket.gethostname())
    difference = clock_difference(clock=clock)
    _execute(_BEGIN, at, difference=difference)
    _execute(_FORGET, at, days=DAYS_TO_KEEP)
    fault = clock_fault(difference)
    if fault:
        log.error("The stage %s does not run on %s: %s", stage, at.host, fault)
        _execute(_END, at, counts="{}", error=fault)
        return
    try:
        with _one_warning(stage), reasons() as by_reason:
            counts = counts_of(work()) | by_reason
    except Exception as error:
        _end_badly(at, error)
        raise
    _execute(_END, at, counts=json.dumps(counts), error="")
    if any(counts.values()):
        wake_next(stage)


@contextmanager
def _one_warning(stage: str) -> Iterator[None]:
    """Log the problems of the run in one line at its end, even if it fails."""
    with tally() as found:
        try:
            yield
        finally:
            if found:
                log.warning("%s: %s", stage, in_words(found))


def seconds_of_silence() -> dict[str, float]:
    """Return for each stage the seconds since a run began or ended on any host. One query.

    Failed and skipped runs count too, because a worker is there. A stage that never ran is missing.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SILENCE)
        return {stage: float(seconds) for stage, seconds in cursor.fetchall()}


def clock_difference(*, clock: Clock = utc_now) -> float:
    """Return the seconds by which the clock is certainly ahead (above 0) of the database's."""
    before = clock()
    with connection.cursor() as cursor:
        cursor.execute(_READ_CLOCK)
        there: datetime = cursor.fetchone()[0]
    after = clock()
    # The database answered between these two instants, so a smaller difference proves nothing.
    if there < before:
        return (before - there).total_seconds()
    return min(0.0, (after - there).total_seconds())


def clock_fault(difference: float) -> str:
    """Return a sentence if the clocks differ too much to work, else an empty text."""
    if abs(difference) <= MOST_SECONDS_APART:
        return ""
    direction = "ahead of" if difference > 0 else "behind"
    return (
        f"its clock is {abs(difference):.1f} s {direction} the database's. Synchronize both with a"
        " time server. Then the stage continues by itself."
    )


def counts_of(result: object) -> dict[str, int]:
    """Return the result of a stage's work as counts by name."""
    if isinstance(result, Mapping):
        return {str(name): int(count) for name, count in result.items()}
    if is_dataclass(result) and not isinstance(result, type):
        return asdict(result)
    return {"done": result} if isinstance(result, int) else {}


@dataclass(frozen=True)
class _Place:
    stage: str
    host: str


def _end_badly(at: _Place, error: Exception) -> None:
    # Only the first line, because the others may hold values such as addresses.
    line = storable_text(next(iter(str(error).splitlines()), ""))
    text = f"{type(error).__name__}: {line}"[:500]
    try:
        # The server may have closed the connection during the work.
        connection.close_if_unusable_or_obsolete()
        _execute(_END, at, counts="{}", error=text)
    except (DatabaseError, InterfaceError) as second:
        # The first error is more important, and the caller raises it.
        log.warning("The end of the stage %s could not be stored: %s", at.stage, second)


def _execute(statement: str, at: _Place, **values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"stage": at.stage, "host": at.host, **values})
