"""Real operating-system processes on the test database, for what only real processes can show.

Use them in tests with `@pytest.mark.django_db(transaction=True)`: another process sees only what is
committed. Code given here runs after `django.setup()`.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlencode

from django.db import connection

from config.running.workers import STAGES
from tests.zygote.client import Servers, read_at_start

ROOT = Path(__file__).resolve().parents[1]
SECONDS_TO_FINISH = 180.0
PREAMBLE = "import django; django.setup()\n"
# What processes of the tests share: Django, and what most of the code given here loads.
DJANGO = ("tests.zygote.setup", "interventions.stages.dispatch", "segmentation.stages.evaluate")
# Celery makes the system checks at its start, and these load all pages.
CELERY = (
    "config.celery",
    "tests.zygote.setup",
    "config.urls",
    *(each.rpartition(".")[0] for each in STAGES.values()),
)


@dataclass(frozen=True)
class Finished:
    """What a process said and how it ended."""

    status: int
    output: str
    errors: str


def database_url() -> str:
    """Return the address of the database that the tests use at this moment."""
    at = connection.settings_dict
    # All of it as parameters: a host may be the folder of a unix socket.
    options = {"host": at["HOST"], "port": at["PORT"], "password": at["PASSWORD"]} | at["OPTIONS"]
    given = {name: value for name, value in options.items() if value and isinstance(value, str)}
    # A plus is a plus to the client library, and no space.
    query = urlencode(given, quote_via=quote)
    return f"postgresql://{quote(at['USER'])}@/{quote(at['NAME'], safe='')}?{query}"


def environment(env: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process on the test database, with `env` on top."""
    settings = {
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    return os.environ | settings | (env or {})


def start_command(
    *command: str, env: dict[str, str] | None = None, log: IO[str] | None = None
) -> subprocess.Popen[str]:
    """Start a program on the test database and return at once.

    Give one that runs for long a file as its `log`: a pipe that nobody reads fills and stops it.
    """
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(env),
        text=True,
        stdin=subprocess.PIPE,
        stdout=log or subprocess.PIPE,
        stderr=log or subprocess.PIPE,
    )


@cache
def servers() -> Servers:
    """Return the servers that fork processes for these tests."""
    return Servers(environment())


def start_forked(
    *arguments: str,
    env: dict[str, str] | None = None,
    preload: Sequence[str] = (),
    log: IO[str] | None = None,
) -> subprocess.Popen[str]:
    """Start Python with this command line, at a tenth of the cost of `start_command`.

    The process is forked from one that has loaded the libraries, and the modules to `preload` with
    the settings of this environment. Use `start_command` for a test of the start itself.
    """
    given = environment(env)
    if not servers().can_fork(given):
        return start_command(sys.executable, *arguments, env=env, log=log)
    return servers().start(arguments, given, preload=preload, log=log)


def run_alone(*arguments: str, **given: str) -> Finished:
    """Run Python with this command line to its end, with only `given` in its environment.

    And what Python itself reads when it starts.
    """
    at_start = read_at_start(environment())
    bare = at_start | {"PATH": os.environ["PATH"]} | given
    return finish(servers().start(arguments, bare))


def start_python(
    code: str, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start Python code on the test database and return at once; `sys.argv[1:]` is `arguments`."""
    return start_forked("-c", PREAMBLE + code, *arguments, env=env, preload=DJANGO)


def finish(process: subprocess.Popen[str], *, seconds: float = SECONDS_TO_FINISH) -> Finished:
    """Wait until the process ends; one that does not end in time is killed and fails the test."""
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        raise AssertionError(f"did not end in {seconds} s:\n{output}\n{errors}") from None
    return Finished(process.returncode, output, errors)


def run_python(code: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Run Python code on the test database to its end and return what it printed."""
    finished = finish(start_python(code, *arguments, env=env))
    assert finished.status == 0, finished.errors
    return finished.output


def wait_for_line(process: subprocess.Popen[str], wanted: str) -> None:
    """Read what the process prints until a line equals `wanted`: it has come to that point."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == wanted:
            return
    assert process.stderr is not None
    raise AssertionError(f"ended before it said {wanted!r}:\n{process.stderr.read()}")


@contextmanager
def running(*processes: subprocess.Popen[str]) -> Iterator[None]:
    """Have the processes run during the block, and end them after it whatever happened."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
            # Not read to their end: children of the process may hold them open.
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clock_ahead(seconds: float, *, host: str = "") -> dict[str, str]:
    """Return the environment of a process whose wall clock is so far ahead of ours.

    `host` is the name of its machine; empty: ours.
    """
    # Before our own folder: Python imports the first `sitecustomize` that it finds.
    path = os.pathsep.join([str(ROOT / "tests" / "clocks"), str(ROOT)])
    return {"PYTHONPATH": path, "CLOCK_AHEAD": str(seconds), "HOST_NAME": host}


def is_said_apart(sentence: str, seconds: float, direction: str) -> bool:
    """Return whether the sentence says that a clock is so far ahead of, or behind, the database's.

    What the question took is not said: on a machine that is busy it may be a second or two.
    """
    found = re.search(rf"(\d+\.\d) s {direction} the database's", sentence)
    return found is not None and seconds - 6 < float(found[1]) <= seconds


def wait_until(happened: Callable[[], bool], *, seconds: float = SECONDS_TO_FINISH) -> bool:
    """Return True once the function does; False where it did not within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.05)
    return False


def wait_until_somebody_waits() -> None:
    """Return once a process waits for a row that another has locked."""
    for _ in range(int(SECONDS_TO_FINISH / 0.05)):
        with connection.cursor() as cursor:
            # Within a transaction the view would else say the same each time.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock')"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.05)
    raise AssertionError("nobody waits")
