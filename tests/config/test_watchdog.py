"""Only programs that hang are restarted."""

import signal
import sys
from collections.abc import Iterator

import pytest

from common.clock import utc_now
from config.models import StageRun
from config.running.processes import Child
from config.running.stages import run_stage
from config.running.watchdog import BEAT, Watchdog
from config.running.workers import STAGES, WORKERS

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
pytestmark = pytest.mark.django_db(transaction=True)


class Steps:
    """A clock of seconds that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Steps:
    return Steps()


@pytest.fixture
def children(clock: Steps) -> Iterator[dict[str, Child]]:
    """Run a new program for each worker and the beat."""
    programs = {name: Child(name, SLEEP) for name in (*WORKERS, BEAT)}
    for child in programs.values():
        child.start(now=clock.now)
    yield programs
    for child in programs.values():
        child.end(signal.SIGKILL)
        if child.process is not None:
            child.process.wait()


def make_silent(*stages: str, seconds: float = 61) -> None:
    """Make the stages silent for `seconds`, and let the others have just run."""
    for stage in STAGES:
        run_stage(stage, lambda: None, host="here")
    instant = utc_now().timestamp() - seconds
    at = utc_now().fromtimestamp(instant, tz=utc_now().tzinfo)
    StageRun.objects.filter(stage__in=stages).update(started_at=at, ended_at=at, succeeded_at=at)


def replaced(children: dict[str, Child], clock: Steps) -> list[str]:
    """Let the watchdog check for a minute, and return the restarted programs."""
    watchdog = Watchdog(list(children.values()), clock=clock)
    watchdog.look()
    clock.now += 61
    watchdog.look()
    return [name for name, child in children.items() if child.is_killed_at is not None]


@pytest.mark.parametrize(
    ("silent", "expected"),
    [
        ((), []),
        (("evaluate",), ["evaluate worker"]),
        (("dispatch",), ["worker"]),
        # Without a beat it is not known whether a worker hangs.
        (tuple(STAGES), ["beat"]),
    ],
    ids=["none", "evaluate", "dispatch", "all"],
)
def test_program_with_a_silent_stage_is_restarted(
    silent: tuple[str, ...], expected: list[str], children: dict[str, Child], clock: Steps
) -> None:
    make_silent(*silent)

    assert replaced(children, clock) == expected


def test_stage_that_fails_or_runs_elsewhere_is_not_silent(
    children: dict[str, Child], clock: Steps
) -> None:
    make_silent("dispatch", "react")
    StageRun.objects.filter(stage="react").update(ended_at=utc_now(), error="ValueError: no")
    run_stage("dispatch", lambda: None, host="there")

    assert replaced(children, clock) == []


def test_program_that_has_just_started_is_not_restarted(
    children: dict[str, Child], clock: Steps
) -> None:
    make_silent(*STAGES)
    for child in children.values():
        child.started = clock.now + 60

    assert replaced(children, clock) == []


def test_program_that_stays_silent_gets_twice_as_long_each_time(
    children: dict[str, Child], clock: Steps
) -> None:
    make_silent(*STAGES)
    watchdog = Watchdog(list(children.values()), clock=clock)
    starts = []
    for _ in range(200):
        watchdog.look()
        if children[BEAT].is_killed_at is not None:
            starts.append(clock.now - 1000)
            children[BEAT].is_killed_at, children[BEAT].started = None, clock.now
        clock.now += 5

    assert starts == [65, 190, 435, 920]


def test_stages_get_time_after_the_database_was_down(
    children: dict[str, Child], clock: Steps
) -> None:
    make_silent(*STAGES)
    clock.now += 600

    # This is the first check. It is not known how long the database was down before.
    watchdog = Watchdog(list(children.values()), clock=clock)
    watchdog.look()

    assert [child for child in children.values() if child.is_killed_at is not None] == []


def test_program_that_does_not_end_is_killed_and_restarted(
    children: dict[str, Child], clock: Steps, capsys: pytest.CaptureFixture[str]
) -> None:
    beat = children[BEAT]
    assert beat.process is not None
    first = beat.process
    first.send_signal(signal.SIGSTOP)
    make_silent(*STAGES)
    replaced(children, clock)

    assert not beat.look_after(now=clock.now + 1)
    assert beat.process is first

    assert beat.look_after(now=clock.now + 3)
    assert first.poll() == -signal.SIGKILL
    assert beat.process is not first
    said = [line for line in capsys.readouterr().err.splitlines() if "beat" in line]
    assert said == [f"Silent for over 60 s: {', '.join(STAGES)}. The beat is ended and restarted."]
