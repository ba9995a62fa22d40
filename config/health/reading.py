"""The state of the work, read from the database by the database's clock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from activity.queries import number_held, oldest_due
from common.clock import Clock, utc_now
from config.models import StageRun
from config.running.stages import clock_difference
from config.running.workers import STAGES
from interventions.queries.waiting import (
    MessageCounts,
    message_counts,
    oldest_due_message,
    oldest_work,
)
from segmentation.queries import oldest_waiting


@dataclass(frozen=True)
class HostRun:
    """The last run of a stage on one host.

    `age_seconds` is the time since the end of the last successful run there, or None without one.
    `began_seconds` is the time since the last run began. `has_error` means that the last run failed
    or was skipped because of the host's clock. `totals` is the sum of the counts of all runs.
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
    """The longest waiting time of each kind, in seconds. None means that nothing waits."""

    due_seconds: float | None
    transition_seconds: float | None
    message_seconds: float | None
    step_seconds: float | None
    opt_out_seconds: float | None


@dataclass(frozen=True)
class Reading:
    """The state of the work, and the clock difference, above 0 if this machine's clock is ahead."""

    clock_difference: float
    runs: tuple[HostRun, ...]
    waiting: Waiting
    messages: MessageCounts
    # Courses whose messages wait, because their events do not come as usual.
    held_feeds: int = 0

    @property
    def stages(self) -> Mapping[str, float | None]:
        """Return the seconds since each stage's last successful run on any host, or None."""
        return {stage: self._age(stage) for stage in STAGES}

    def _age(self, stage: str) -> float | None:
        ages = [run.age_seconds for run in self.runs if run.stage == stage]
        return min((age for age in ages if age is not None), default=None)


def read(*, clock: Clock = utc_now) -> Reading:
    """Return the state of the work from the database. Seven queries."""
    difference = clock_difference(clock=clock)
    # By the database's clock, because a wrong local clock would make everything look late.
    now = clock() - timedelta(seconds=difference)
    work = oldest_work(now=now)
    waiting = Waiting(
        due_seconds=_seconds(oldest_due(now=now), now),
        transition_seconds=_seconds(oldest_waiting(now=now), now),
        message_seconds=_seconds(oldest_due_message(now=now), now),
        step_seconds=_seconds(work.step, now),
        opt_out_seconds=_seconds(work.opt_out, now),
    )
    return Reading(
        difference, tuple(_runs(now)), waiting, message_counts(now=now), number_held(now=now)
    )


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
