"""The health page while real servers and workers stop, hang and come back."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.embedded import postgres
from config.health import health
from tests.conftest import StartCelery
from tests.processes import running, start_python, wait_until

# A web process that requests its own page for each input line.
ASK = """
import sys
from django.test import Client
for line in sys.stdin:
    response = Client().get("/health")
    print(response.status_code, response.content.decode(), flush=True)
"""


def ask(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    status, said = process.stdout.readline().split(" ", 1)
    return int(status), json.loads(said)


def red_parts(*, most_seconds: float) -> list[str]:
    return [fault.part for fault in health(most_seconds=most_seconds).faults]


@pytest.fixture
def data() -> Iterator[Path]:
    """Run a separate PostgreSQL without tables, and return its folder."""
    with tempfile.TemporaryDirectory(prefix="nudgelab-health-") as folder:
        data = Path(folder) / "postgres"
        postgres.ensure_running(data)
        yield data
        postgres.stop(data)


@pytest.mark.slow
def test_database_that_hangs_is_down_or_has_no_tables_is_red(data: Path, valkey_url: str) -> None:
    env = {"DATABASE_URL": postgres.address(data), "REDIS_URL": valkey_url}
    server = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
    web = start_python(ASK, env=env)
    with running(web):
        status, said = ask(web)
        assert (status, said["database"], said["broker"]) == (503, "fail", "ok")
        assert "Run manage.py migrate" in said["faults"][0]["sentence"]

        server.suspend()
        try:
            status, said = ask(web)
        finally:
            server.resume()
        assert status == 503
        assert said["faults"][0]["sentence"].startswith("The database does not answer. Start")

        # The database has come back.
        assert wait_until(lambda: "migrate" in ask(web)[1]["faults"][0]["sentence"])

        postgres.stop(data)
        status, said = ask(web)
        assert (status, set(said)) == (503, {"status", "faults", "remarks", "database", "broker"})
        assert said["faults"][0]["sentence"].startswith("The database does not answer. Start")
        assert str(data) not in json.dumps(said)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_stage_whose_worker_is_killed_becomes_red_and_the_others_do_not(
    settings, valkey_url: str, celery_processes: StartCelery
) -> None:
    settings.REDIS_URL = valkey_url
    with celery_processes() as (evaluation, *_):
        assert wait_until(lambda: not health().is_red), health()

        for process in (*psutil.Process(evaluation.pid).children(), evaluation):
            os.kill(process.pid, signal.SIGKILL)
        # A shorter limit than by default, so that the test does not wait for a minute.
        assert wait_until(lambda: red_parts(most_seconds=5) == ["evaluate"])
