"""Programs do not start on tables of another version."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from config.embedded import postgres
from config.running.schema import schema_fault
from config.running.workers import celery_command, worker_commands
from tests.processes import (
    CELERY,
    SECONDS_TO_FINISH,
    finish,
    running,
    start_command,
    start_forked,
    wait_until,
)

LATEST = ("interventions", "0010_index_what_failed")
UNKNOWN = ("interventions", "9999_of_a_newer_version")
WEB = [
    sys.executable,
    "-m",
    "gunicorn",
    "config.wsgi:application",
    "--bind",
    "127.0.0.1:0",
    "--workers",
    "1",
    "--log-level",
    "critical",
    "--no-control-socket",
]
PROGRAMS = {
    "evaluate worker": (worker_commands()["evaluate worker"], 1),
    "beat": (celery_command("beat", "--pidfile="), 1),
    # The exit status of gunicorn if its worker must not be restarted.
    "web server": (WEB, 3),
}


@pytest.fixture
def one_missing(transactional_db: None) -> Iterator[None]:
    """Make the database look as if the last migration were missing."""
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(*LATEST)
    yield
    recorder.record_applied(*LATEST)


@pytest.fixture
def one_unknown(transactional_db: None) -> Iterator[None]:
    """Make the database look as if a newer version had migrated it."""
    recorder = MigrationRecorder(connection)
    recorder.record_applied(*UNKNOWN)
    yield
    recorder.record_unapplied(*UNKNOWN)


@pytest.mark.django_db
def test_tables_of_this_version_have_no_fault() -> None:
    assert schema_fault() == ""


@pytest.mark.django_db
def test_migration_of_a_removed_app_is_not_a_fault() -> None:
    MigrationRecorder(connection).record_applied("gone", "0001_initial")

    assert schema_fault() == ""


@pytest.mark.usefixtures("one_missing")
def test_a_missing_migration_is_named() -> None:
    said = schema_fault()

    assert "lacks the migration interventions.0010_index_what_failed. Run manage.py migrate" in said


def refused(command: list[str], valkey_url: str) -> tuple[int, str]:
    preload = CELERY if "celery" in command else ()
    program = start_forked(*command[1:], env={"REDIS_URL": valkey_url}, preload=preload)
    with running(program):
        ended = finish(program)
    return ended.status, ended.errors


@pytest.mark.slow
@pytest.mark.usefixtures("one_missing")
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.sampled(2)
def test_program_refuses_a_database_with_a_migration_missing(program: str, valkey_url: str) -> None:
    command, status = PROGRAMS[program]

    ended, said = refused(command, valkey_url)

    assert ended == status, said
    assert said.count("Nudgelab cannot start. The database lacks the migration interventions") == 1
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.usefixtures("one_unknown")
def test_worker_refuses_a_database_of_a_newer_version(valkey_url: str) -> None:
    ended, said = refused(PROGRAMS["evaluate worker"][0], valkey_url)

    assert ended == 1, said
    assert "interventions.9999_of_a_newer_version, which this version does not know" in said
    assert said.count("\n") == 1


@pytest.mark.long("test_program_refuses_a_database_with_a_migration_missing")
@pytest.mark.slow
@pytest.mark.usefixtures("one_unknown")
def test_serve_prints_the_fault_once_and_ends(valkey_url: str) -> None:
    command = [sys.executable, "manage.py", "serve", "--port", "0"]

    ended, said = refused(command, valkey_url)

    assert ended == 1, said
    assert "which this version does not know" in said


@pytest.mark.slow
def test_worker_waits_for_a_late_database_and_then_checks_its_tables(
    valkey_url: str, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="nudgelab-late-") as folder:
        data = Path(folder) / "postgres"
        env = {"DATABASE_URL": postgres.address(data), "REDIS_URL": valkey_url}
        command, _ = PROGRAMS["evaluate worker"]
        with (tmp_path / "log").open("w+") as log:
            worker = start_command(*command, env=env, log=log)
            with running(worker):
                said = (tmp_path / "log").read_text
                assert wait_until(lambda: "Waiting for the database. The database" in said())
                assert worker.poll() is None

                # The database has no tables.
                postgres.ensure_running(data)
                try:
                    assert worker.wait(SECONDS_TO_FINISH) == 1
                finally:
                    postgres.stop(data)
    assert said().count("Waiting for the database.") == 1
    assert "Nudgelab cannot start. The database lacks the migrations " in said()
