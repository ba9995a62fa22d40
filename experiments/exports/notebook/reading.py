"""Reading the files.

`rows.csv` has one row per learner, `codebook.csv` says what its columns are, and `numbers.csv` has
the numbers of the report. An empty cell is not known.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# A number's part, outcome, arm and name.
Key = tuple[str, str, str, str]


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Outcome:
    """An outcome of the codebook: its kind, its columns, its window, and what is better."""

    key: str
    kind: str
    names: list[str]
    hours: float
    better: str


@dataclass(frozen=True)
class Data:
    """The rows by column, the codebook, and the numbers of the report."""

    columns: dict[str, Array]
    arm_of: NDArray[np.str_]
    book: list[dict[str, str]]
    reported: dict[Key, float]

    @classmethod
    def read(cls, folder: Path) -> "Data":
        """Return the content of the folder's files."""
        rows = read_table(folder / "rows.csv")
        # The last entries are about the numbers, and not about the rows.
        book = [line for line in read_table(folder / "codebook.csv") if line["role"] != "number"]
        texts = ("arm", "drawn_on")
        numeric = [entry["column"] for entry in book if entry["column"] not in texts]
        return cls(
            {name: np.array([number(row[name]) for row in rows]) for name in numeric},
            np.array([row["arm"] for row in rows]),
            book,
            {
                (line["part"], line["outcome"], line["arm"], line["number"]): number(line["value"])
                for line in read_table(folder / "numbers.csv")
            },
        )

    def given(self, name: str, arm: str = "", outcome: str = "") -> float:
        """Return a setting of the report."""
        return self.reported["given", outcome, arm, name]

    @property
    def arms(self) -> list[str]:
        """Return the arms in the order of the report."""
        return [key[2] for key in self.reported if key[0] == "given" and key[3] == "weight"]

    @property
    def periods(self) -> int:
        """Return the number of periods of an adaptive draw; 0 for other draws."""
        return sum(
            key[0] == "given" and key[2] == self.control and key[3].startswith("share_")
            for key in self.reported
        )

    @property
    def control(self) -> str:
        """Return the control."""
        return next(arm for arm in self.arms if self.given("is_control", arm))

    @property
    def others(self) -> list[str]:
        """Return the arms that are compared with the control."""
        return [arm for arm in self.arms if arm != self.control]

    def outcomes(self, role: str) -> Iterator[Outcome]:
        """Yield each outcome with the role."""
        entries = [entry for entry in self.book if entry["role"] == role]
        for key in dict.fromkeys(entry["outcome"] for entry in entries):
            own = [entry for entry in entries if entry["outcome"] == key]
            names, one = [entry["column"] for entry in own], own[0]
            yield Outcome(key, one["kind"], names, float(one["window_hours"]), one["better"])

    def counted(self, arm: str, names: list[str]) -> list[Array]:
        """Return the columns of the learners of an arm who are counted in the outcome."""
        is_counted = (self.arm_of == arm) & ~np.isnan(self.columns[names[0]])
        return [self.columns[name][is_counted] for name in names]


def number(text: str) -> float:
    """Return the number, nan for an empty text."""
    return float(text) if text else float("nan")


def protocol_text(folder: Path) -> str:
    """Return whether `protocol.json` is the plan whose sha256 was stored at the start."""
    found = hashlib.sha256((folder / "protocol.json").read_bytes()).hexdigest()
    stored = (folder / "protocol.sha256").read_text("utf-8").split()[0]
    if found == stored:
        return f"The plan is the one that was locked at the start: sha256 {found}."
    return f"THE PLAN IS NOT THE ONE OF THE START: its sha256 is {found}, and {stored} was stored."
