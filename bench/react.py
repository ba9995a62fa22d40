"""Measure react on many transitions of one enrollment, against another commit in the same run.

Each side runs in its own process with its own code and its own database on the same server. The
benchmark prints two ratios: to the time of the other folder, and of the whole number of transitions
to half of them, which is 2 if the time is linear. It exits with 1 if an aim is missed.

    python -m bench.react [--transitions 10000] [--beside FOLDER] [--json]
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from config.running.startup import prepare

prepare(default_settings="config.settings.test")

ROOT = Path(__file__).resolve().parents[1]
WORLD = Path(__file__).with_name("react_world.py")
TRANSITIONS = 10_000
AIM_BESIDE = 0.1
# The highest allowed ratio for twice the work. Quadratic time would give 4.
AIM_LINEAR = 2.5


@dataclass(frozen=True)
class Row:
    """One measurement: our seconds and the rival's seconds."""

    work: str
    seconds: float
    rival: str
    rival_seconds: float
    aim: float

    @property
    def ratio(self) -> float:
        """Return our time over the rival's."""
        return self.seconds / self.rival_seconds

    @property
    def is_met(self) -> bool:
        """Return whether the ratio is at most the aim."""
        return self.ratio <= self.aim


def main() -> int:
    """Measure, print, and return 1 if an aim is missed."""
    options = _options()
    rows = list(_measured(options.transitions, options.beside))
    if options.json:
        print(json.dumps([asdict(row) | {"ratio": row.ratio, "met": row.is_met} for row in rows]))
    else:
        for row in rows:
            print(_line(row))
    return 0 if all(row.is_met for row in rows) else 1


def _measured(transitions: int, beside: Path | None) -> list[Row]:
    whole, half = seconds_of(ROOT, transitions), seconds_of(ROOT, transitions // 2)
    work = f"{transitions:,} transitions of one enrollment"
    rows = [Row(work, whole, "half as many", half, AIM_LINEAR)]
    if beside is not None:
        there = seconds_of(beside, transitions)
        rows.append(Row(work, whole, beside.name, there, AIM_BESIDE))
    return rows


def seconds_of(folder: Path, transitions: int) -> float:
    """Return the seconds that the code of the folder takes in a separate process."""
    # With these settings the other folder starts no servers and writes no files.
    env = os.environ | {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "REDIS_URL": settings.REDIS_URL,
    }
    command = [sys.executable, str(WORLD), str(transitions)]
    said = subprocess.run(
        command, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(said.stdout)


def _line(row: Row) -> str:
    return (
        f"{row.work:40} {row.seconds:8.3f} s   {row.rival} {row.rival_seconds:.3f} s"
        f"   ratio {row.ratio:.3f} (aim {row.aim:g}{'' if row.is_met else ', MISSED'})"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", type=int, default=TRANSITIONS)
    parser.add_argument("--beside", type=Path, help="a folder with another commit")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
