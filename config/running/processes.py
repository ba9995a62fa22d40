"""Child processes that are restarted when they end, and stopped together."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from config.embedded.folders import only_one

RECORD_NAME = "serve.json"
# The name of the parent process in the record. Its row is the first.
PARENT = "serve"
LONGEST_PAUSE_SECONDS = 30.0
SECONDS_TO_BE_WELL = 60.0
# The default time for programs to end by themselves.
SECONDS_TO_END = 20.0
# The time that the parent needs in addition to its children.
SECONDS_FOR_THE_PARENT = 10.0


class AlreadyRunningError(Exception):
    """Processes of this folder already run. The message names them and how to stop them."""


@dataclass
class Child:
    """One program that must always run."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    starts_again: float = 0.0
    # The time until which a hanging program may end by itself before its restart.
    is_killed_at: float | None = None

    def start(self, *, now: float) -> None:
        """Start the program."""
        # In its own session, so that Ctrl-C in the terminal reaches only the parent, which ends the
        # children once and in order.
        self.process = subprocess.Popen(  # noqa: S603
            self.command, env=os.environ | self.environment, start_new_session=True
        )
        self.started, self.is_killed_at = now, None

    def look_after(self, *, now: float) -> bool:
        """Start the program if it does not run, with growing pauses if it keeps ending.

        Return whether it was started.
        """
        if self.process and self.is_killed_at is not None and now >= self.is_killed_at:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        status = None if self.process is None else self.process.poll()
        if status is not None:
            self._plan_restart(status, now=now)
        if self.process is not None or now < self.starts_again:
            return False
        self.start(now=now)
        return True

    def end(self, number: signal.Signals) -> None:
        """Send the signal to the program only. Each program ends its own children."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def has_run_for(self, seconds: float, *, now: float) -> bool:
        """Return whether the program has run for `seconds` and is not being ended."""
        is_left_alone = self.process is not None and self.is_killed_at is None
        return is_left_alone and now - self.started > seconds

    def replace(self, reason: str, *, now: float, seconds_to_end: float) -> None:
        """End a hanging program, by force after a while, and then restart it."""
        _say(f"{reason} The {self.name} is ended and restarted.")
        self.is_killed_at = now + seconds_to_end
        self.end(signal.SIGTERM)

    def _plan_restart(self, status: int, *, now: float) -> None:
        if self.is_killed_at is not None:
            self.process, self.starts_again = None, now
            return
        well = now - self.started > SECONDS_TO_BE_WELL
        self.pause = 1.0 if well else min(max(1.0, self.pause * 2), LONGEST_PAUSE_SECONDS)
        _say(f"The {self.name} ended with status {status}. It is restarted in {self.pause:.0f} s.")
        self.process, self.starts_again = None, now + self.pause


def run_all(
    children: list[Child],
    *,
    watch: Callable[[], None],
    record: Path,
    address: str = "",
    seconds_to_end: float = SECONDS_TO_END,
) -> None:
    """Keep the children running until SIGTERM or Ctrl-C, then end them all.

    `watch` is called every second and may restart servers that the children need. `record` is the
    file with the running processes, for `end_recorded`. `address` is stored in it for the error of
    a second start. A child that still runs after `seconds_to_end` is killed. Raises
    AlreadyRunningError.
    """
    about = {"address": address, "seconds_to_end": seconds_to_end}
    with _interrupt_on_term(), _claimed(record, about):
        try:
            while True:
                watch()
                started = [child.look_after(now=time.monotonic()) for child in children]
                if any(started):
                    _write_record(record, children, about)
                time.sleep(1)
        except KeyboardInterrupt:
            _say("Stopping ...")
        finally:
            _end(children, seconds=seconds_to_end)


def refuse_second(record: Path) -> None:
    """Raise AlreadyRunningError if a process of the record still runs."""
    running = [row for row in read_record(record) if same_process(row)]
    if not running:
        return
    first = running[0]
    names = ", ".join(f"{row['name']} (process {row['pid']})" for row in running)
    if first["name"] == PARENT:
        where = first.get("address")
        what = f"Nudgelab already runs from this folder{f', at {where}' if where else ''}: {names}"
    else:
        what = f"An earlier start from this folder was killed, but these still run: {names}"
    raise AlreadyRunningError(f"{what}. End it with make stop, then start again.")


def end_recorded(record: Path) -> list[str]:
    """End the processes of the record, and return the names of those that were running.

    This works even if the process that started them was killed.
    """
    rows = read_record(record)
    running = [(row["name"], process) for row in rows if (process := same_process(row))]
    # The first row is the parent, which ends the others. Processes that remain are ended here.
    seconds = rows[0].get("seconds_to_end", SECONDS_TO_END) if rows else 0.0
    for _, process in running:
        _terminate(process, seconds=seconds + SECONDS_FOR_THE_PARENT)
    record.unlink(missing_ok=True)
    return [name for name, _ in running]


def read_record(record: Path) -> list[dict[str, Any]]:
    """Return the name, pid and creation time of each process in the record."""
    rows: list[dict[str, Any]] = json.loads(record.read_text()) if record.exists() else []
    return rows


def _terminate(process: psutil.Process, *, seconds: float) -> None:
    try:
        process.terminate()
        process.wait(seconds)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        process.kill()


def same_process(row: dict[str, Any]) -> psutil.Process | None:
    """Return the process of a row of the record if it still runs."""
    try:
        process = psutil.Process(int(row["pid"]))
        # Another process may have the same pid now.
        same = abs(process.create_time() - row["created"]) < 1
        return process if same else None
    except psutil.NoSuchProcess:
        return None


@contextmanager
def _claimed(record: Path, about: dict[str, Any]) -> Iterator[None]:
    # Two processes that start at once may both see no record. With the lock only one can write it.
    with only_one(record.parent):
        refuse_second(record)
        _write_record(record, [], about)
    try:
        yield
    finally:
        # Without this check, a process could delete the record of another one.
        if any(row["pid"] == os.getpid() for row in read_record(record)):
            record.unlink(missing_ok=True)


def _write_record(record: Path, children: list[Child], about: dict[str, Any]) -> None:
    pids = {PARENT: os.getpid()}
    pids |= {child.name: child.process.pid for child in children if child.process}
    rows: list[dict[str, Any]] = [
        {"name": name, "pid": pid, "created": psutil.Process(pid).create_time()}
        for name, pid in pids.items()
        if psutil.pid_exists(pid)
    ]
    rows[0] |= about
    # Replaced atomically, so that no reader finds an incomplete file.
    draft = record.with_suffix(".draft")
    draft.write_text(json.dumps(rows))
    draft.replace(record)


@contextmanager
def _interrupt_on_term() -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(children: list[Child], *, seconds: float) -> None:
    # From here on a second signal is ignored, because it could leave some children running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for child in children:
        child.end(signal.SIGTERM)
    deadline = time.monotonic() + seconds
    for child in children:
        _wait(child, seconds=max(0.1, deadline - time.monotonic()))


def _wait(child: Child, *, seconds: float) -> None:
    if child.process is None:
        return
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        # The child has its own process group, so this also kills its forked workers.
        os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
