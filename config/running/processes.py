"""Child processes that are started again when they die, and ended together."""

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
# What the process that starts the others is called in the record; its row is the first.
PARENT = "serve"
LONGEST_PAUSE_SECONDS = 30.0
SECONDS_TO_BE_WELL = 60.0
# For programs that end by themselves; whoever has some that take longer says so.
SECONDS_TO_END = 20.0
# What the parent takes on top of what its children may take.
SECONDS_FOR_THE_PARENT = 10.0


class AlreadyRunningError(Exception):
    """Processes of this folder run already; the message says which and how to stop them."""


@dataclass
class Child:
    """One program that is to run all the time."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    starts_again: float = 0.0
    # Until then a program that hangs may end by itself, to be started anew.
    is_killed_at: float | None = None

    def start(self, *, now: float) -> None:
        """Start the program."""
        # A session of its own: Ctrl-C in the terminal reaches the parent alone, which then ends
        # the children in order instead of twice.
        self.process = subprocess.Popen(  # noqa: S603
            self.command, env=os.environ | self.environment, start_new_session=True
        )
        self.started, self.is_killed_at = now, None

    def look_after(self, *, now: float) -> bool:
        """Start the program if it does not run, later and later if it keeps dying.

        Return whether it was started just now.
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
        """Send the signal to the program alone; each of ours ends its own children."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def has_run_for(self, seconds: float, *, now: float) -> bool:
        """Return whether the program has been running for so long, and nobody is ending it."""
        is_left_alone = self.process is not None and self.is_killed_at is None
        return is_left_alone and now - self.started > seconds

    def replace(self, reason: str, *, now: float, seconds_to_end: float) -> None:
        """End a program that hangs, by force after a while, and then start it anew."""
        _say(f"{reason} Ending the {self.name} and starting it again.")
        self.is_killed_at = now + seconds_to_end
        self.end(signal.SIGTERM)

    def _plan_restart(self, status: int, *, now: float) -> None:
        if self.is_killed_at is not None:
            self.process, self.starts_again = None, now
            return
        well = now - self.started > SECONDS_TO_BE_WELL
        self.pause = 1.0 if well else min(max(1.0, self.pause * 2), LONGEST_PAUSE_SECONDS)
        _say(
            f"The {self.name} ended with status {status}; starting it again in {self.pause:.0f} s."
        )
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

    `watch` is called every second and may start servers again that the children need. `record` is
    the file that names the running processes, for `end_recorded`; `address` is kept in it for
    whoever comes second. A child that still runs after `seconds_to_end` is killed. Raises
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
        what = f"Nudgelab runs from this folder already{f', at {where}' if where else ''}: {names}"
    else:
        what = f"Of an earlier start from this folder, which was killed, there still runs: {names}"
    raise AlreadyRunningError(f"{what}. End it with make stop, then start again.")


def end_recorded(record: Path) -> list[str]:
    """End the processes that the record names, and return the names of those that were running.

    Finds them even when the process that started them was killed and could not end them.
    """
    rows = read_record(record)
    running = [(row["name"], process) for row in rows if (process := same_process(row))]
    # The first row is the parent: told to end, it ends the others; whoever is left is ended here.
    seconds = rows[0].get("seconds_to_end", SECONDS_TO_END) if rows else 0.0
    for _, process in running:
        _terminate(process, seconds=seconds + SECONDS_FOR_THE_PARENT)
    record.unlink(missing_ok=True)
    return [name for name, _ in running]


def read_record(record: Path) -> list[dict[str, Any]]:
    """Return name, pid and instant of creation of each process in the record."""
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
    """Return the process of a row of the record, if it still runs."""
    try:
        process = psutil.Process(int(row["pid"]))
        # The pid alone may belong to somebody else by now.
        same = abs(process.create_time() - row["created"]) < 1
        return process if same else None
    except psutil.NoSuchProcess:
        return None


@contextmanager
def _claimed(record: Path, about: dict[str, Any]) -> Iterator[None]:
    # Of two that start at once, both see no record: the lock has one of them write it first.
    with only_one(record.parent):
        refuse_second(record)
        _write_record(record, [], about)
    try:
        yield
    finally:
        # Without this question, one that ends would hide another from `make stop`.
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
    # Put in place whole: whoever reads it at this moment must not find half a file.
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
    # From here on a second signal must not leave half of them running.
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
        # Its own session is its own group: this reaches the workers that it forked.
        os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
