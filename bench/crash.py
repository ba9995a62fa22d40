"""Kill Nudgelab and django-post_office at the same points of a mail, and count beside each other.

Both send through the same mail server of the tests, into databases of one PostgreSQL. The rival is
installed into a temporary environment. Without access to a package index the program says so and
returns 0.

    python -m bench.crash [--json]

Returns 1 if Nudgelab sent a message twice or lost one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.crash.servers import servers

ROOT = Path(__file__).resolve().parents[1]
RIVAL = "django-post_office==3.12.0"
RIVAL_DATABASE = "post_office"
# The points at which both can be killed: those of the mail, and any statement to the database.
POINTS = (
    "before MAIL",
    "before DATA",
    "half of the body",
    "after the dot",
    "after 250",
    "statement",
)
# The first time, and later ones in the middle of the work.
TIMES = tuple(range(1, 10))


@dataclass(frozen=True)
class Row:
    """One point, with the numbers of both. `left` is what Nudgelab has in doubt."""

    point: str
    kills: int
    mails: int
    twice: int
    lost: int
    left: int
    rival_kills: int
    rival_mails: int
    rival_twice: int
    rival_lost: int


def main() -> int:
    """Run both, print a table, and return 1 if Nudgelab broke a promise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    options = parser.parse_args()
    rounds = [f"{point}:{nth}" for point in POINTS for nth in TIMES]
    with _rival_python() as python:
        if python is None:
            print(f"Skipped: {RIVAL} cannot be installed here.")
            return 0
        with servers() as env:
            rival = _run(python, "crash_post_office.py", rounds, _of_rival(env))
            ours = _run(sys.executable, "crash_nudgelab.py", rounds, env)
    rows = [_row(point, ours, rival) for point in POINTS]
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else _table(rows))
    return 1 if any(row.twice + row.lost for row in rows) else 0


def _row(point: str, ours: list[dict[str, Any]], rival: list[dict[str, Any]]) -> Row:
    def total(found: list[dict[str, Any]], name: str) -> int:
        return sum(each[name] for each in found if each["point"] == point)

    mine = [total(ours, name) for name in ("killed", "mails", "twice", "lost", "left")]
    theirs = [total(rival, name) for name in ("killed", "mails", "twice", "lost")]
    return Row(point, *mine, *theirs)


def _table(rows: list[Row]) -> str:
    heads = ["killed", "kills", "mails", "twice", "lost", "in doubt"]
    heads += [f"{RIVAL}: {name}" for name in ("kills", "mails", "twice", "lost")]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    lines += [[str(value) for value in asdict(row).values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _run(python: str, script: str, rounds: list[str], env: dict[str, str]) -> list[dict[str, Any]]:
    command = [python, str(ROOT / "bench" / script), *rounds]
    said = subprocess.run(
        command, env=env | {"PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.PIPE, text=True
    )
    found: list[dict[str, Any]] = json.loads(said.stdout)
    return found


def _of_rival(env: dict[str, str]) -> dict[str, str]:
    """Return the environment with a database of the rival's own."""
    address = env["DATABASE_URL"]
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {RIVAL_DATABASE} TEMPLATE template0")
    return env | {"DATABASE_URL": address.replace("/nudgelab?", f"/{RIVAL_DATABASE}?")}


@contextmanager
def _rival_python() -> Iterator[str | None]:
    """Yield the Python of a temporary environment with the rival, or None without an index."""
    with tempfile.TemporaryDirectory(prefix="nudgelab-rival-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        # The same Django and driver as ours.
        packages = [RIVAL, "django~=5.2.0", "psycopg[binary]>=3.3"]
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*install, *packages], env=os.environ, check=False)
        yield python if done.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main())
