"""Real servers, started by real processes, in a separate folder."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from common.archive import MILLISECONDS_TO_WAIT
from config import embedded
from config.embedded import folders, postgres, valkey
from tests.processes import SECONDS_TO_FINISH, wait_until

ROOT = Path(__file__).resolve().parents[2]
ENSURE = """
import sys
from pathlib import Path
from config import embedded
from tests.processes import SECONDS_TO_FINISH
embedded.ensure(var=Path(sys.argv[1]))
"""


def start_ensure(var: Path) -> subprocess.Popen[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL"}
    }
    return subprocess.Popen(
        [sys.executable, "-c", ENSURE, str(var)],
        cwd=ROOT,
        env=environment,
        text=True,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str]) -> str:
    said = process.communicate(timeout=SECONDS_TO_FINISH)[1]
    assert process.returncode == 0, said
    return said


def postmaster(var: Path) -> int:
    return int((var / "postgres" / "postmaster.pid").read_text().split()[0])


def valkey_processes(var: Path) -> list[psutil.Process]:
    mark = str(folders.socket_folder(var / "valkey"))
    # The process title of a running Valkey contains its socket.
    return [p for p in psutil.process_iter() if mark in " ".join(_command_line(p))]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if "valkey" in process.name() else []
    except psutil.Error:
        return []


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    # Not in pytest's own folder, whose permissions other test runs reset while our server runs.
    with tempfile.TemporaryDirectory(prefix="nudgelab test ") as folder:
        yield Path(folder)
        embedded.stop(var=Path(folder))


@pytest.fixture(scope="module")
def running(var: Path) -> str:
    """Start the servers in two processes at once. Return their output."""
    first, second = start_ensure(var), start_ensure(var)
    return finish(first) + finish(second)


def test_two_processes_at_once_start_one_server_each(var: Path, running: str) -> None:
    assert running.count("Starting PostgreSQL") == 1
    assert running.count("Starting Valkey") == 1
    assert len(valkey_processes(var)) == 1


@pytest.mark.usefixtures("running")
def test_servers_outlive_the_process_that_started_them(var: Path) -> None:
    assert postgres.answers(var / "postgres")
    assert valkey.answers(var / "valkey")


@pytest.mark.usefixtures("running")
def test_next_process_finds_the_same_servers_without_a_message(var: Path) -> None:
    before = postmaster(var)

    said = finish(start_ensure(var))

    assert (said, postmaster(var)) == ("", before)


@pytest.mark.usefixtures("running")
def test_server_is_safe_and_of_the_right_version(var: Path) -> None:
    with psycopg.connect(postgres.address(var / "postgres")) as connection:
        asked = "server_version_num", "fsync", "max_connections", "listen_addresses", "TimeZone"
        rows = [connection.execute(f"SHOW {name}").fetchall() for name in asked]
    answers = [row[0][0] for row in rows]

    assert answers[0].startswith("18")
    assert answers[1:] == ["on", "100", "", "UTC"]


@pytest.mark.usefixtures("running")
def test_killed_servers_are_restarted_with_their_data(var: Path) -> None:
    address = postgres.address(var / "postgres")
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 1 AS it")
    os.kill(postmaster(var), signal.SIGKILL)
    for process in valkey_processes(var):
        process.kill()
        process.wait(SECONDS_TO_FINISH)

    finish(start_ensure(var))

    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT it FROM kept").fetchone() == (1,)
    assert valkey.answers(var / "valkey")


@pytest.mark.usefixtures("running")
def test_pid_file_of_a_dead_server_with_the_pid_of_another_process_is_ignored(var: Path) -> None:
    mark = var / "postgres" / "postmaster.pid"
    lines = mark.read_text().splitlines()
    assert embedded.stop(var=var) == ["postgres", "valkey"]
    mark.write_text("\n".join([str(os.getpid()), *lines[1:], ""]))

    finish(start_ensure(var))

    assert postgres.answers(var / "postgres")


def test_stop_of_servers_that_do_not_run_does_nothing(tmp_path: Path) -> None:
    assert embedded.stop(var=tmp_path) == []


def test_creation_killed_half_way_and_a_path_too_long_for_a_socket() -> None:
    with tempfile.TemporaryDirectory(prefix="nudgelab-") as folder:
        var = Path(folder) / ("long" * 20) / ("path" * 20)
        (var / "postgres.new").mkdir(parents=True)
        (var / "postgres.new" / "PG_VERSION").write_text("18\n")
        try:
            finish(start_ensure(var))
            assert postgres.answers(var / "postgres")
            assert valkey.answers(var / "valkey")
        finally:
            embedded.stop(var=var)
        assert wait_until(lambda: valkey_processes(var) == [])


@pytest.mark.parametrize("name", ["plain", "with space", "with,comma", "päth", "l" * 90])
def test_socket_folder_is_short_plain_and_always_the_same(name: str) -> None:
    folder = folders.socket_folder(Path("/data") / name)

    assert len(str(folder)) <= folders.LONGEST_SOCKET_FOLDER
    assert folders.PLAIN_PATH.fullmatch(str(folder))
    assert folder == folders.socket_folder(Path("/data") / name)
    assert folder != folders.socket_folder(Path("/data") / f"{name}2")


def test_a_vacuum_gives_way_before_the_wait_for_a_month_ends() -> None:
    # PostgreSQL cancels autovacuum for those that have waited for this long.
    given = postgres.SETTINGS["deadlock_timeout"]

    assert int(given.removesuffix("ms")) < MILLISECONDS_TO_WAIT


def test_servers_of_others_are_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ana@db.example.org/courses")
    monkeypatch.setenv("REDIS_URL", "redis://cache.example.org/0")

    embedded.ensure(var=tmp_path)

    assert list(tmp_path.iterdir()) == []
    assert os.environ["DATABASE_URL"] == "postgresql://ana@db.example.org/courses"


def test_data_of_another_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")

    with pytest.raises(embedded.ServerError, match="of PostgreSQL 16, but the program is 18"):
        postgres.ensure_running(tmp_path / "postgres")


def test_server_that_cannot_start_gives_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "SECONDS_TO_START", 1)
    monkeypatch.setitem(postgres.SETTINGS, "max_connections", "0")
    with (
        tempfile.TemporaryDirectory(prefix="nudgelab-") as folder,
        pytest.raises(embedded.ServerError, match=r"server\.log: .*max_connections"),
    ):
        postgres.ensure_running(Path(folder) / "postgres")
