"""The arm and the outcomes of every row of a CSV file, as arrays. Pure.

pyarrow reads plain files quickly, also with a million rows. `experiments.terminal.tables` reads all
other files row by row, and names the line of an error.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from experiments.stats.joint import LARGEST
from experiments.terminal.tables import Table, TableError

_WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
# "none" can be the name of an arm that got nothing.
_NO_ARM = _MISSING - {"none"}
# Python's float() would also accept 1_000 and the digits of every script.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
# Outside this and LARGEST the sum of squares of a billion outcomes exceeds the range of a float.
SMALLEST = 1e-100
_SCAN_BYTES = 1 << 20


@dataclass(frozen=True)
class Columns:
    """The rows of a table. `codes` are indexes into `arms`, or -1 for a row without an arm.

    `values` holds one array per metric with one number per row, nan for an empty cell.
    """

    arms: tuple[str, ...]
    codes: NDArray[np.int32]
    values: tuple[NDArray[np.float64], ...]

    def of(self, arm: str) -> NDArray[np.bool_]:
        """Return the mask of the arm's rows."""
        mask: NDArray[np.bool_] = self.codes == self.arms.index(arm)
        return mask


class _NotPlainError(Exception):
    """The file must be read row by row."""


def read_columns(table: Table, *, arm: str, metrics: Sequence[str], control: str) -> Columns:
    """Return the arms and outcomes in these columns. Raise TableError for a bad file or cell."""
    places = [table.place(column) for column in (arm, *metrics)]
    try:
        return _read_quickly(table, places, control)
    except (_NotPlainError, pa.ArrowException, OSError):
        return _read_by_rows(table, [arm, *metrics], control)


def parse_number(cell: str, *, delimiter: str = ",") -> float | None:
    """Return the number in a cell, nan for a missing value, or None for any other text.

    The words true and yes are 1, false and no are 0. With the delimiter ";" a comma is a decimal
    mark.
    """
    word = cell.lower()
    if word in _MISSING:
        return float("nan")
    if word in _WORDS:
        return _WORDS[word]
    if delimiter == ";" and _DECIMAL_COMMA.fullmatch(cell):
        cell = cell.replace(",", ".")
    return float(cell) if _NUMBER.fullmatch(cell) else None


def _is_arm(cell: str, control: str) -> bool:
    return cell == control or cell.lower() not in _NO_ARM


def _in_range(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    size = np.abs(values)
    within = (size >= SMALLEST) & (size <= LARGEST)
    usable: NDArray[np.bool_] = np.isnan(values) | (values == 0) | within
    return usable


def _read_quickly(table: Table, places: Sequence[int], control: str) -> Columns:
    _require_plain_file(table.path)
    names = [str(place) for place in range(len(table.header))]
    wanted = [names[place] for place in places]
    found = arrow_csv.read_csv(
        table.path,
        read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1),
        parse_options=arrow_csv.ParseOptions(delimiter=table.delimiter, quote_char=False),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=list(dict.fromkeys(wanted)),
            column_types=dict.fromkeys(wanted, pa.string()),
            strings_can_be_null=False,
        ),
    )
    arms, *cells = (found[name].combine_chunks() for name in wanted)
    values = tuple(_numbers(each, table.delimiter) for each in cells)
    return Columns(*_coded(arms, control), values)


def _require_plain_file(path: Path) -> None:
    # A pipe can be read only once, and a compressed file cannot be searched for quotes. A quoted
    # cell may hold a line break, or the quotes may be wrong.
    if path.suffix == ".gz" or not path.is_file():
        raise _NotPlainError
    with path.open("rb") as stream:
        while block := stream.read(_SCAN_BYTES):
            if b'"' in block:
                raise _NotPlainError


def _numbers(cells: pa.StringArray, delimiter: str) -> NDArray[np.float64]:
    cells = pc.utf8_trim_whitespace(cells)
    values = _cast(cells)
    if values is None:
        # There are empty cells, words or decimal commas: each distinct text is parsed once.
        coded = cells.dictionary_encode()
        values = _each(coded.dictionary.to_pylist(), delimiter)[np.asarray(coded.indices)]
    if not _in_range(values).all():
        raise _NotPlainError
    return values


def _cast(cells: pa.StringArray) -> NDArray[np.float64] | None:
    """Return the cells as numbers, or None if one is not a finite number."""
    try:
        values: NDArray[np.float64] = np.asarray(pc.cast(cells, pa.float64()))
    except pa.ArrowInvalid:
        return None
    return values if np.isfinite(values).all() else None


def _each(texts: Sequence[str], delimiter: str) -> NDArray[np.float64]:
    numbers = [parse_number(text.strip(), delimiter=delimiter) for text in texts]
    if None in numbers:
        raise _NotPlainError
    return np.array(numbers, dtype=np.float64)


def _coded(cells: pa.StringArray, control: str) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    coded = cells.dictionary_encode()
    texts = [text.strip() for text in coded.dictionary.to_pylist()]
    arms = tuple(dict.fromkeys(text for text in texts if _is_arm(text, control)))
    places = {arm: place for place, arm in enumerate(arms)}
    numbers = np.array([places.get(text, -1) for text in texts], dtype=np.int32)
    return arms, numbers[np.asarray(coded.indices)]


def _read_by_rows(table: Table, names: Sequence[str], control: str) -> Columns:
    places: dict[str, int] = {}
    codes: list[int] = []
    columns: list[list[float]] = [[] for _ in names[1:]]
    for line, (arm, *cells) in table.cells(names):
        known = _is_arm(arm, control)
        codes.append(places.setdefault(arm, len(places)) if known else -1)
        for column, name, cell in zip(columns, names[1:], cells, strict=True):
            column.append(_checked(cell, name, line, table.delimiter))
    values = tuple(np.array(column, dtype=np.float64) for column in columns)
    return Columns(tuple(places), np.array(codes, dtype=np.int32), values)


def _checked(cell: str, column: str, line: int, delimiter: str) -> float:
    value = parse_number(cell, delimiter=delimiter)
    if value is None:
        raise TableError(f"Line {line}: '{cell}' in column '{column}' is not a number.")
    if not _in_range(np.array([value])).all():
        raise TableError(
            f"Line {line}: '{cell}' in column '{column}' is out of range. An outcome must be 0, or "
            f"between {SMALLEST:g} and {LARGEST:g} in size."
        )
    return value
