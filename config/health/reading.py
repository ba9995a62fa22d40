"""What the database says of the work, by its own clock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from activity.queries import oldest_due
from common.clock import Clock, utc_now
from config.models import StageRun
from config.running.stages import clock_difference
from config.running.workers import STAGES
from interventions.queries.waiting import MessageCounts, message_counts, oldest_due_message
from segmentation.queries import oldest_waiting


@dataclass(frozen=True)
class HostRun:
    """The last run of a stage on one host.

    `age_seconds` is since the end of the last good run there, None: never; `began_seconds` is since
    the last one began. `has_error`: that one failed, or was left out because of the host's clock.
    `totals` sums what the runs there counted.
    """

    stage: str
    host: str
    age_seconds: float | None
    began_seconds: float
    clock_difference: float
    has_error: bool
    totals: Mapping[str, int]


@dataclass(frozen=True)
class Waiting:
    """For how many seconds the longest waiting of each kind waits. None: nothing waits."""

    due_seconds: float | None
    transition_seconds: float | None
    message_seconds: float | None


@dataclass(frozen=True)
class Reading:
    """The clocks' difference, above 0 where this machine's is ahead, and the state of the work."""

    clock_difference: float
    runs: tuple[HostRun, ...]
    waiting: Waiting
    messages: MessageCounts

    @property
    def stages(self) -> Mapping[str, float | None]:
        """Return the seconds since each stage's last good run on any host; None: never."""
        return {stage: self._age(stage) for stage in STAGES}

    def _age(self, stage: str) -> float | None:
        ages = [run.age_seconds for run in self.runs if run.stage == stage]
        return min((age for age in ages if age is not None), default=None)


def read(*, clock: Clock = utc_now) -> Reading:
    """Return what the database says of the work. Six queries."""
    difference = clock_difference(clock=clock)
    # The database's time: by a wrong clock of this machine everything would look late.
    now = clock() - timedelta(seconds=difference)
    waiting = Waiting(
        _seconds(oldest_due(now=now), now),
        _seconds(oldest_waiting(now=now), now),
        _seconds(oldest_due_message(now=now), now),
    )
    return Reading(difference, tuple(_runs(now)), waiting, message_counts(now=now))


def _runs(now: datetime) -> Iterator[HostRun]:
    for run in StageRun.objects.order_by("stage", "host"):
        yield HostRun(
            stage=run.stage,
            host=run.host,
            age_seconds=_seconds(run.succeeded_at, now),
            began_seconds=(now - run.started_at).total_seconds(),
            clock_difference=run.clock_difference,
            has_error=bool(run.error),
            totals=run.totals,
        )


def _seconds(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())
