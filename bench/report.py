"""Measure `analyze_csv` against tea-tasting, and the draws against GrowthBook's formula.

Both programs read the same file of a million rows and three outcomes. The processor time of the
whole processes is measured in turns. tea-tasting is installed into a temporary folder, unless
`--rival` names a Python that has it. The draws are those of the engine, and the formula is that of
GrowthBook's SDK for Python, on the same ids in the same process.

    python -m bench.report [--rows 1000000] [--rounds 5] [--rival PYTHON] [--beside FOLDER] [--json]

`--beside` names a checkout of an earlier commit with its own environment at `.venv`; it is timed
too. Returns 1 if an aim is missed.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import numpy as np

from experiments.randomize.arms import Arms

ROOT = Path(__file__).resolve().parents[1]
AIM = 1.0
DRAWS_AIM = 15.0
DRAWN = 100_000
SEED = 20_250_901
RIVAL = ("tea-tasting==1.14.0", "pyarrow>=26")
RIVAL_CODE = """
import sys
import pyarrow.csv
import tea_tasting as tt
table = pyarrow.csv.read_csv(sys.argv[1]).rename_columns({"arm": "variant"})
metrics = {name: tt.Mean(name) for name in ("done", "minutes", "attempts")}
print(tt.Experiment(metrics).analyze(table))
"""
METRICS = ("--metric=done", "--metric=minutes", "--metric=attempts")


def main() -> int:
    """Run the benchmark, print the result, and return 1 if an aim is missed."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder, _rival(options.rival) as rival:
        path = Path(folder, "rows.csv")
        write_rows(path, rows=options.rows)
        commands = {"analyze_csv": _command(ROOT, path), "tea-tasting": [rival, "-c", RIVAL_CODE]}
        commands["tea-tasting"].append(str(path))
        if options.beside:
            commands["earlier"] = _command(options.beside.resolve(), path)
        times = measure(commands, rounds=options.rounds)
    return report(times, draws_ratio(rounds=options.rounds), options)


def write_rows(path: Path, *, rows: int) -> None:
    """Write a table of rows with an arm, a rate, an amount and a count."""
    rng = np.random.default_rng(SEED)
    arms = np.where(rng.random(rows) < 0.5, "control", "nudge")
    columns = (rng.integers(0, 2, rows), rng.gamma(2, 3, rows).round(3), rng.poisson(1.3, rows))
    with path.open("w", encoding="utf-8") as file:
        file.write("id,arm,done,minutes,attempts\n")
        for number, cells in enumerate(zip(arms, *columns, strict=True)):
            file.write(",".join(map(str, (number, *cells))) + "\n")


def measure(commands: dict[str, list[str]], *, rounds: int) -> dict[str, list[float]]:
    """Return the processor seconds of each command in each round, without the first round."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            seconds = _processor_seconds(command)
            if turn:
                times[name].append(seconds)
    return times


def draws_ratio(*, rounds: int) -> float:
    """Return how many times as long the SDK's formula takes as the engine's draws."""
    rng = random.Random(SEED)
    ids = [str(UUID(int=rng.getrandbits(128))) for _ in range(DRAWN)]
    arms = Arms.of({"control": 0.5, "nudge": 0.5})
    ratios = []
    for _ in range(rounds + 1):
        start = time.process_time()
        drawn = arms.draw_many(ids, seed="bench")
        between = time.process_time()
        formula = ["control" if sdk_hash("bench", each) < 0.5 else "nudge" for each in ids]
        ratios.append((time.process_time() - between) / (between - start))
        if drawn != formula:
            raise SystemExit("The engine draws other arms than the formula.")
    return statistics.median(ratios[1:])


def sdk_hash(seed: str, value: str) -> float:
    """Return version 2 of the hash as GrowthBook's SDK for Python computes it."""
    return fnv1a32(str(fnv1a32(seed + value))) % 10000 / 10000


def fnv1a32(text: str) -> int:
    """Return the hash of a text, character by character."""
    value = 0x811C9DC5
    for character in text:
        value = value ^ ord(character)
        value = (value * 0x01000193) % 2**32
    return value


def report(times: dict[str, list[float]], draws: float, options: argparse.Namespace) -> int:
    """Print one line per command, and return 1 if an aim is missed."""
    ours, rival = times["analyze_csv"], times["tea-tasting"]
    ratio = statistics.median(a / b for a, b in zip(ours, rival, strict=True))
    found = {name: statistics.median(each) for name, each in times.items()}
    is_missed = ratio > AIM or draws < DRAWS_AIM
    if options.json:
        print(json.dumps(found | {"ratio": ratio, "draws_ratio": draws}, indent=2))
        return int(is_missed)
    for name, each in times.items():
        print(
            f"{name:12} {statistics.median(each):6.2f} s of processor time, {options.rows:,} rows"
        )
    if "earlier" in times:
        before = statistics.median(a / b for a, b in zip(times["earlier"], rival, strict=True))
        print(f"the earlier commit took {before:.2f} times the time of tea-tasting")
    missed = "" if ratio <= AIM else ", MISSED"
    print(f"analyze_csv took {ratio:.2f} times the time of tea-tasting (aim {AIM:g}{missed})")
    missed = "" if draws >= DRAWS_AIM else ", MISSED"
    print(f"the formula took {draws:.1f} times the time of the draws (aim {DRAWS_AIM:g}{missed})")
    return int(is_missed)


def _processor_seconds(command: list[str]) -> float:
    before = os.times()
    folder = Path(command[1]).parent if command[1].endswith(".py") else None
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )


def _command(checkout: Path, path: Path) -> list[str]:
    python = checkout / ".venv" / "bin" / "python"
    arms = ("--arm=arm", "--control=control")
    return [str(python), str(checkout / "manage.py"), "analyze_csv", str(path), *arms, *METRICS]


@contextmanager
def _rival(given: Path | None) -> Iterator[str]:
    if given:
        yield str(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *RIVAL], check=True)
        yield str(python)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="after one round that is not counted")
    parser.add_argument("--rival", type=Path, help="a Python that has tea-tasting")
    parser.add_argument("--beside", type=Path, help="the checkout of an earlier commit")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
