"""Processes forked from a server that has loaded what they need, seen from the tests."""

import atexit
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from tests.zygote import server
from tests.zygote.server import Order

ROOT = Path(__file__).resolve().parents[2]
# Each keeps what the project's modules take in memory. Most tests need the same two.
MOST_SERVERS = 3
# The interpreter or a library reads these when it starts: a forked process would not see them.
READ_AT_START = (
    "CELERY_",
    "C_",
    "KOMBU_",
    "LANG",
    "LC_",
    "LD_",
    "NPY_",
    "NUMPY_",
    "OPENBLAS_",
    "PROMETHEUS_",
    "PSYCOPG_",
    "PYTHON",
    "TZ",
)
# Pytest sets it anew for each test.
OF_THE_TEST = "PYTEST_CURRENT_TEST"


class ServerEndedError(Exception):
    """The server that should fork a process has ended. It has said why on standard error."""


class Process(subprocess.Popen[str]):
    """A forked process, to be used like one that was started."""

    def __init__(self, order: Order, line: socket.socket, log: IO[str] | None) -> None:
        self.args = [sys.executable, *order.arguments]
        self.returncode: int | None = None
        self._readers: list[Reader] = []
        given, self.stdin = pipe()
        self.stdout, said = (None, log) if log else pipe()
        self.stderr, errors = (None, log) if log else pipe()
        try:
            self._line, self.pid = begin(order, line, given, said, errors)
        except ServerEndedError:
            close(self.stdin, self.stdout, self.stderr)
            raise
        finally:
            close(*(end for end in (given, said, errors) if end is not log))

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, negative for a signal. Raises TimeoutExpired."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                self.returncode = hear(self._line)
            except (BlockingIOError, TimeoutError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self._line.close()
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, sig: int) -> None:
        """Send the signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def communicate(
        self,
        input: str | None = None,  # noqa: A002
        timeout: float | None = None,
    ) -> tuple[str, str]:
        """Give the input, and return all that was not read yet of the output and the errors.

        After a TimeoutExpired it can be called again and loses nothing.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._readers:
            with suppress(BrokenPipeError):
                self.stdin.write(input or "")
            with suppress(BrokenPipeError):
                self.stdin.close()
            self._readers = [Reader(stream) for stream in (self.stdout, self.stderr) if stream]
        for reader in self._readers:
            reader.join(left(deadline))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(left(deadline))
        said, errors = (reader.text for reader in self._readers)
        return said, errors


class Reader(Thread):
    """Reads a stream to its end."""

    def __init__(self, stream: IO[str]) -> None:
        # A daemon: a child that the process has left may keep the stream open for long.
        super().__init__(daemon=True)
        self._stream, self.text = stream, ""
        self.start()

    def run(self) -> None:
        """Read, then close the stream."""
        with self._stream:
            self.text = self._stream.read()


def left(deadline: float | None) -> float | None:
    """Return the seconds until then."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def pipe() -> tuple[IO[str], IO[str]]:
    """Return two files: the first reads what is written to the second."""
    reading, writing = os.pipe()
    return os.fdopen(reading), os.fdopen(writing, "w")


def close(*ends: IO[str] | None) -> None:
    """Close the files."""
    for end in ends:
        if end is not None:
            end.close()


def begin(
    order: Order, line: socket.socket, *streams: IO[str] | socket.socket
) -> tuple[socket.socket, int]:
    """Have the server at the line fork a process. Return a line to its keeper, and its pid."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            fds = [theirs.fileno(), *(stream.fileno() for stream in streams)]
            socket.send_fds(line, [server.FORK], fds)
        ours.sendall(f"{json.dumps(asdict(order))}\n".encode())
        return ours, hear(ours)
    except (ConnectionError, ServerEndedError):
        ours.close()
        raise ServerEndedError("Its last words are on standard error.") from None


def hear(line: socket.socket) -> int:
    """Return the next number that the keeper of a process tells."""
    said = line.recv(4)
    if not said:
        raise ServerEndedError
    return int.from_bytes(said, "big", signed=True)


@dataclass(frozen=True)
class Loaded:
    """A server that has loaded modules of the project, with the settings of one environment."""

    line: socket.socket
    keeper: socket.socket

    def end(self) -> None:
        """End it and wait until it is gone. What it has forked goes on."""
        self.line.close()
        with self.keeper:
            hear(self.keeper)


class Servers:
    """The server that has loaded the libraries, and those forked from it for one environment each.

    They end with this process, however it ends: nobody is at the other end of their line then.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = without_test(environment)
        self._loaded: dict[object, Loaded] = {}
        self._libraries, theirs = socket.socketpair()
        with theirs:
            # Without settings: a library that reads them when it is loaded stops the server.
            bare = {k: v for k, v in self.environment.items() if k != "DJANGO_SETTINGS_MODULE"}
            command = [sys.executable, "-m", server.__name__]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=bare, stdin=theirs, stdout=subprocess.DEVNULL
            )
        atexit.register(self.close)

    def close(self) -> None:
        """End all of them. What they have forked goes on."""
        for each in self._loaded.values():
            each.end()
        self._libraries.close()
        self._process.wait()

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        preload: Sequence[str] = (),
        log: IO[str] | None = None,
    ) -> Process:
        """Fork what Python would be with these arguments: `-c`, `-m` or a file, and what follows.

        Django and the modules to preload are loaded once for all processes of an environment.
        """
        order = Order(dict(environment), list(arguments))
        return Process(order, self._line_to(environment, preload), log)

    def can_fork(self, environment: Mapping[str, str]) -> bool:
        """Return whether a process would be no other one if it were started with it."""
        return read_at_start(environment) == read_at_start(self.environment)

    def _line_to(self, environment: Mapping[str, str], preload: Sequence[str]) -> socket.socket:
        """Return the line to a server with this environment that has loaded the modules."""
        if not preload:
            return self._libraries
        key = (frozenset(without_test(environment).items()), tuple(preload))
        # The one that was used last is the last.
        loaded = self._loaded.pop(key, None) or self._load(environment, preload)
        self._loaded[key] = loaded
        while len(self._loaded) > MOST_SERVERS:
            self._loaded.pop(next(iter(self._loaded))).end()
        return loaded.line

    def _load(self, environment: Mapping[str, str], preload: Sequence[str]) -> Loaded:
        ours, theirs = socket.socketpair()
        with theirs:
            order = Order(dict(environment), [], list(preload))
            keeper, _ = begin(order, self._libraries, theirs)
        return Loaded(ours, keeper)


def without_test(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what pytest sets anew for each test."""
    return {name: value for name, value in environment.items() if name != OF_THE_TEST}


def read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the part that the interpreter and the libraries read when they start."""
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}
