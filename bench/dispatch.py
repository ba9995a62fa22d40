"""Measure dispatch (claim, render, send and record) against a bare loop with the same mails.

Each side runs in its own process with its own code and its own database on the same server, and
sends to the same local mail server. With `--beside`, an earlier commit is checked out into a
temporary folder and measured in the same run.

    python -m bench.dispatch [--messages 300] [--held 8000] [--beside COMMIT] [--json]

Returns 1 if an aim is missed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from bench.checkouts import checked_out
from config.running.startup import prepare

prepare(default_settings="config.settings.test")

ROOT = Path(__file__).resolve().parents[1]
WORLD = Path(__file__).with_name("dispatch_world.py")
SINK = Path(__file__).with_name("dispatch_sink.py")
AIM_TIME = 2.5
AIM_STATEMENTS = 2.0
AIM_WORKERS = 1.3
AIM_BEATS = 2.0
# Four workers at least 2.5 times the rate of one.
AIM_FAR = 0.4
FAR_MILLISECONDS = 20
# Enough for each worker to have more to do than to begin.
FAR_MESSAGES = 2_000
WORKERS_MESSAGES = 3_000


@dataclass(frozen=True)
class Row:
    """One measurement, its aim (the highest allowed value), and details."""

    work: str
    value: float
    aim: float | None
    about: str

    @property
    def is_met(self) -> bool:
        """Return whether the value is at most the aim."""
        return self.aim is None or self.value <= self.aim


def main() -> int:
    """Measure, print, and return 1 if an aim is missed."""
    options = _options()
    with sink() as port, sink(FAR_MILLISECONDS) as far:
        rows = [*_measured(ROOT, port, options), _far(far)]
        if options.beside:
            with checked_out(options.beside) as folder:
                there = list(_measured(folder, port, options))
            rows += [Row(f"{options.beside}: {each.work}", each.value, None, each.about)
                     for each in there]  # fmt: skip
    if options.json:
        print(json.dumps([asdict(row) | {"met": row.is_met} for row in rows], indent=2))
    else:
        print("\n".join(map(_line, rows)))
    return 0 if all(row.is_met for row in rows) else 1


def _measured(folder: Path, port: int, options: argparse.Namespace) -> Iterator[Row]:
    rounds = run_world(folder, port, "send", options.messages)
    middle = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    ratio = statistics.median(each["ours"] / each["bare"] for each in rounds)
    about = f"{middle['ours']:.2f} ms, of which {middle['cpu']:.2f} ms processor time; "
    about += f"bare {middle['bare']:.2f} ms"
    yield Row("time per message, relative to a bare loop", ratio, AIM_TIME, about)
    yield Row("statements per message", middle["statements"], AIM_STATEMENTS, "")
    each = run_world(folder, port, "workers", WORKERS_MESSAGES)
    about = f"{each['6']:.2f} ms against {each['1']:.2f} ms"
    yield Row(
        "processor time of six workers, relative to one", each["6"] / each["1"], AIM_WORKERS, about
    )
    ratio = each["statements 6"] / each["statements 1"]
    about = f"{each['statements 6']:.2f} against {each['statements 1']:.2f}"
    yield Row("statements of six workers, relative to one", ratio, AIM_WORKERS, about)
    urgent = run_world(folder, port, "held", options.held)
    about = f"{urgent['seconds']:.2f} s behind {options.held:,} held messages"
    yield Row("beats until an urgent message is sent", urgent["beats"], AIM_BEATS, about)


def _far(port: int) -> Row:
    rates = run_world(ROOT, port, "slow", FAR_MESSAGES)
    about = f"{rates['4']:.0f} against {rates['1']:.0f} messages a second"
    work = f"rate of one worker, relative to four, with {FAR_MILLISECONDS} ms a reply"
    return Row(work, rates["1"] / rates["4"], AIM_FAR, about)


def run_world(folder: Path, port: int, work: str, number: int) -> Any:
    """Run the measurement with the code of the folder in a separate process. Return its result."""
    # With these settings the other folder starts no servers and writes no files.
    env = os.environ | {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "REDIS_URL": settings.REDIS_URL,
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(port),
    }
    command = [sys.executable, str(WORLD), work, str(number)]
    said = subprocess.run(
        command, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(said.stdout)


@contextmanager
def sink(milliseconds: int = 0) -> Iterator[int]:
    command = [sys.executable, str(SINK), str(milliseconds)]
    sink = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert sink.stdout is not None
    try:
        yield int(sink.stdout.readline())
    finally:
        sink.terminate()
        sink.wait()


def _line(row: Row) -> str:
    aim = "" if row.aim is None else f" (aim {row.aim:g}{'' if row.is_met else ', MISSED'})"
    return f"{row.work:55} {row.value:8.2f}{aim}   {row.about}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=300, help="in each of five rounds")
    parser.add_argument("--held", type=int, default=8_000)
    parser.add_argument("--beside", metavar="COMMIT", help="an earlier commit to measure too")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
