"""The test database with all its tables, made once and copied by every process that tests.

Migrations take seconds, and each process and each run would wait for them again.
"""

import fcntl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.db import connection

from config.embedded import postgres
from tests.processes import database_url

ROOT = Path(__file__).resolve().parents[1]
# The migrations, what they import, and the libraries: tzdata fills a table.
SOURCES = (
    "*/migrations/*.py",
    "*/models/*.py",
    "*/models.py",
    "activity/*.py",
    "common/*.py",
    "interventions/policy/guards.py",
    "requirements.lock",
)
PREFIX = "template_nudgelab_"


@contextmanager
def copied() -> Iterator[None]:
    """Have Django make the test database of the block as a copy; what is copied is made if needed.

    One process at a time: the others wait and find it made.
    """
    # One folder for all processes of pytest-xdist.
    folder = Path(settings.VAR_DIR).parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "template-database.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, found = name(), _existing()
        if wanted in found:
            connection.settings_dict["TEST"]["TEMPLATE"] = wanted
        yield
        if wanted not in found:
            _keep(wanted, instead_of=found)


def name() -> str:
    """Return the name of the database that is copied, which has all tables and no rows."""
    digest = sha256()
    for path in sorted(path for pattern in SOURCES for path in ROOT.glob(pattern)):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return f"{PREFIX}{digest.hexdigest()[:16]}"


def _existing() -> list[str]:
    with connection.creation._nodb_cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{PREFIX}%"])
        return [name for (name,) in cursor.fetchall()]


def _keep(wanted: str, *, instead_of: list[str]) -> None:
    made = connection.settings_dict["NAME"]
    # A database to which somebody is connected cannot be copied.
    connection.close()
    with connection.creation._nodb_cursor() as cursor:
        for earlier in instead_of:
            cursor.execute(f'DROP DATABASE "{earlier}"')
        cursor.execute(f'CREATE DATABASE "{wanted}" TEMPLATE "{made}"')


def copy_to(data: Path) -> None:
    """Give the server of its own in this folder the tables and rows of the test database.

    Migrations would make them too, in ten times as long.
    """
    programs = postgres.programs()
    dump = data.with_name(f"{data.name}.dump")
    to = ["--dbname", postgres.address(data), str(dump)]
    subprocess.run(
        [programs / "pg_dump", "--format=custom", "--file", dump, database_url()], check=True
    )
    subprocess.run([programs / "pg_restore", "--exit-on-error", *to], check=True)
