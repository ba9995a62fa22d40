"""Child processes that are started again when they die, and ended together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST_PAUSE_SECONDS = 30.0
SECONDS_TO_BE_WELL = 60.0
SECONDS_TO_END = 20.0


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

    def start(self, *, now: float) -> None:
        """Start the program."""
        # A session of its own: Ctrl-C in the terminal reaches the parent alone, which then ends
        # the children in order instead of twice.
        self.process = subprocess.Popen(  # noqa: S603
            self.command, env=os.environ | self.environment, start_new_session=True
        )
        self.started = now

    def look_after(self, *, now: float, say: Callable[[str], None]) -> None:
        """Start the program again if it has died, later and later if it keeps dying."""
        status = None if self.process is None else self.process.poll()
        if status is not None:
            self._plan_restart(status, now=now, say=say)
        if self.process is None and now >= self.starts_again:
            self.start(now=now)

    def end(self, number: signal.Signals) -> None:
        """Send the signal to the program and all that it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def _plan_restart(self, status: int, *, now: float, say: Callable[[str], None]) -> None:
        well = now - self.started > SECONDS_TO_BE_WELL
        self.pause = 1.0 if well else min(max(1.0, self.pause * 2), LONGEST_PAUSE_SECONDS)
        say(f"{self.name} ended with status {status}; starting it again in {self.pause:.0f} s.")
        self.process, self.starts_again = None, now + self.pause


def run_all(children: list[Child], *, watch: Callable[[], None]) -> None:
    """Keep the children running until SIGTERM or Ctrl-C, then end them all.

    `watch` is called every second and may start servers again that the children need.
    """
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        while True:
            watch()
            for child in children:
                child.look_after(now=time.monotonic(), say=_say)
            time.sleep(1)
    except KeyboardInterrupt:
        _say("Stopping ...")
    finally:
        _end(children)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _end(children: list[Child]) -> None:
    # From here on a second signal must not leave half of them running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for child in children:
        child.end(signal.SIGTERM)
    deadline = time.monotonic() + SECONDS_TO_END
    for child in children:
        _wait(child, seconds=max(0.1, deadline - time.monotonic()))


def _wait(child: Child, *, seconds: float) -> None:
    if child.process is None:
        return
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        child.end(signal.SIGKILL)
        child.process.wait()


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
