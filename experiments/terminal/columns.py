"""The columns of a CSV file as arrays: numbers, and names such as arms and units. Pure.

pyarrow reads plain files quickly, also with ten million rows. `experiments.terminal.tables` reads
all other files row by row, and names the line of an error.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from experiments.stats.joint import LARGEST
from experiments.terminal.arrow import NotPlainError, read_plain
from experiments.terminal.cells import SMALLEST, is_usable, parse_number
from experiments.terminal.labels import Labels
from experiments.terminal.tables import Table, TableError, no_progress


@dataclass(frozen=True)
class Columns:
    """Columns of numbers, nan for an empty cell, and columns of names; one entry per row."""

    numbers: Mapping[str, NDArray[np.float64]]
    labels: Mapping[str, Labels]


def read_columns(
    table: Table,
    *,
    numbers: Sequence[str],
    labels: Sequence[str],
    progress: Callable[[int], None] = no_progress,
) -> Columns:
    """Return these columns. `progress` receives the bytes of the file that are read so far.

    Raise TableError for a bad file, or for a cell of `numbers` that is not a number.
    """
    for name in (*numbers, *labels):
        table.place(name)
    try:
        return Columns(*read_plain(table, numbers=numbers, labels=labels, progress=progress))
    except (NotPlainError, pa.ArrowException, OSError):
        return read_by_rows(table, numbers=numbers, labels=labels, progress=progress)


@dataclass
class _Coder:
    """Numbers the names of a column in the order in which they come."""

    places: dict[str, int] = field(default_factory=dict)
    # An array of C integers: a list would take eight times the memory.
    codes: "array[int]" = field(default_factory=lambda: array("i"))

    def add(self, name: str) -> None:
        self.codes.append(self.places.setdefault(name, len(self.places)))

    @property
    def labels(self) -> Labels:
        return Labels(tuple(self.places), np.array(self.codes, dtype=np.int32))


def read_by_rows(
    table: Table,
    *,
    numbers: Sequence[str],
    labels: Sequence[str],
    progress: Callable[[int], None] = no_progress,
) -> Columns:
    """Return these columns as `read_columns` does, whatever the cells of other columns hold."""
    values = [array("d") for _ in numbers]
    coders = [_Coder() for _ in labels]
    for line, cells in table.cells([*numbers, *labels], progress=progress):
        for column, name, cell in zip(values, numbers, cells, strict=False):
            column.append(_checked(cell, name, line, table.delimiter))
        for coder, cell in zip(coders, cells[len(numbers) :], strict=True):
            coder.add(cell)
    return Columns(
        {
            name: np.array(column, dtype=np.float64)
            for name, column in zip(numbers, values, strict=True)
        },
        {name: coder.labels for name, coder in zip(labels, coders, strict=True)},
    )


def _checked(cell: str, column: str, line: int, delimiter: str) -> float:
    value = parse_number(cell, delimiter=delimiter)
    if value is None:
        raise TableError(f"Line {line}: '{cell}' in column '{column}' is not a number.")
    if not is_usable(value):
        raise TableError(
            f"Line {line}: '{cell}' in column '{column}' is out of range. An outcome must be 0, or "
            f"between {SMALLEST:g} and {LARGEST:g} in size."
        )
    return value
