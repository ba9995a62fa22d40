"""`manage.py serve` as real processes: it answers, restarts its programs, and ends them all."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from django.db.models import Min

from config.models import StageRun
from config.running.processes import RECORD_NAME, end_recorded
from config.running.workers import STAGES
from tests.processes import SECONDS_TO_FINISH, free_port, running, start_command, wait_until


def status(port: int) -> int | None:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/admin/login/", timeout=SECONDS_TO_FINISH
        ) as page:
            return int(page.status)
    except (urllib.error.URLError, OSError):
        return None


def wait_for_answer(port: int, process: subprocess.Popen[str]) -> None:
    def answers() -> bool:
        assert process.poll() is None
        return status(port) == 200

    assert wait_until(answers)


def program(parent: int, name: str) -> psutil.Process:
    """Return the child with an argument that begins so."""
    for child in psutil.Process(parent).children():
        if any(argument.startswith(name) for argument in child.cmdline()):
            return child
    raise AssertionError(f"no {name}")


@contextmanager
def ended(record: Path) -> Iterator[None]:
    """End the processes of the record after the block, even if their parent has died."""
    try:
        yield
    finally:
        end_recorded(record)


def all_ran_since(instant: float) -> bool:
    first = StageRun.objects.aggregate(first=Min("started_at"))["first"]
    return StageRun.objects.count() == len(STAGES) and first.timestamp() > instant


def hurt(serving: int) -> tuple[psutil.Process, psutil.Process]:
    """Kill the web server and a worker, suspend the beat, and return the server and the beat."""
    web, beat = program(serving, "gunicorn"), program(serving, "beat")
    beat.suspend()
    for victim in (web, program(serving, "evaluate@")):
        os.killpg(victim.pid, signal.SIGKILL)
    web.wait(SECONDS_TO_FINISH)
    return web, beat


# One start for what dies and what hangs: the programs take longer to start than to restart.
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_serve_answers_restarts_what_dies_or_hangs_and_ends_its_programs(
    settings, valkey_url: str, tmp_path: Path
) -> None:
    port = free_port()
    command = [sys.executable, "manage.py", "serve", "--port", str(port)]
    # Shorter than by default, so that the test does not wait for a minute.
    command += ["--silent-seconds", "20"]
    with (tmp_path / "log").open("w+") as log:
        serving = start_command(*command, env={"REDIS_URL": valkey_url}, log=log)
        with running(serving), ended(settings.VAR_DIR / RECORD_NAME):
            wait_for_answer(port, serving)
            assert wait_until(lambda: all_ran_since(0)), (tmp_path / "log").read_text()
            web, beat = hurt(serving.pid)
            stopped_at = time.time()

            wait_for_answer(port, serving)
            assert wait_until(lambda: all_ran_since(stopped_at + 15))
            assert not web.is_running()
            assert not beat.is_running()
            left = psutil.Process(serving.pid).children(recursive=True)
            serving.send_signal(signal.SIGTERM)
            serving.wait(SECONDS_TO_FINISH)

    said = (tmp_path / "log").read_text()
    assert serving.returncode == 0, said
    assert f"Nudgelab runs at http://127.0.0.1:{port}/" in said
    for name in ("web server", "evaluate worker"):
        assert f"The {name} ended with status -9. It is restarted in 1 s." in said
    assert f"Silent for over 20 s: {', '.join(STAGES)}. The beat is ended and restarted" in said
    assert [process for process in left if process.is_running()] == []
