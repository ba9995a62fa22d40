"""Servers that are stopped, killed and started again under the workers."""

import os
from contextlib import suppress
from pathlib import Path

import psutil
from django.db import connection

from config.embedded import postgres

FOLDER = "CRASH_TEST_FOLDER"


def postgres_folder() -> Path:
    """Return the data folder of the PostgreSQL of this program."""
    return Path(os.environ[FOLDER], "postgres")


def restart_postgres() -> None:
    """Stop PostgreSQL as an administrator does, and start it again."""
    connection.close()
    postgres.stop(postgres_folder())
    postgres.ensure_running(postgres_folder())


def kill_postgres() -> None:
    """Kill PostgreSQL with all its processes, and start it again: it recovers from its log."""
    connection.close()
    pid = int((postgres_folder() / "postmaster.pid").read_text().split()[0])
    server = psutil.Process(pid)
    for process in (server, *server.children(recursive=True)):
        # A session ends by itself as soon as it sees that the server is gone.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs([server], timeout=30)
    postgres.ensure_running(postgres_folder())


RESTARTS = {"PostgreSQL restarted": restart_postgres, "PostgreSQL killed": kill_postgres}
