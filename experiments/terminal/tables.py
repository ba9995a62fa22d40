"""Reading a CSV file with a header, plain or gzipped: a bad file gives a sentence. Pure."""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO


class TableError(ValueError):
    """What is wrong with a file, an option or a cell, in a sentence for whoever wrote it."""


@dataclass(frozen=True)
class Table:
    """An open table: its header, and its rows with their line numbers, to be read once."""

    path: Path
    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]
    delimiter: str = ","

    def cells(self, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield each row's line number and its cells of these columns, without outer spaces."""
        places = [self.place(column) for column in columns]
        for line, row in self.rows:
            if len(row) != len(self.header):
                raise TableError(
                    f"Line {line} has {len(row)} cells, the header has {len(self.header)}."
                )
            yield line, [row[place].strip() for place in places]

    def place(self, column: str) -> int:
        """Return where the column stands. Raise TableError where it is not there just once."""
        if self.header.count(column) > 1:
            raise TableError(f"The header names the column '{column}' more than once.")
        if column not in self.header:
            raise TableError(
                f"There is no column '{column}'. The columns are: {', '.join(self.header)}."
            )
        return self.header.index(column)


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Open a CSV file, gzipped where its name ends in .gz, while its rows are read.

    Cells are told apart by commas, semicolons or tabs, whichever the header has most of. Raise
    TableError where it cannot be read.
    """
    try:
        with _open_text(path) as stream:
            first = stream.readline()
            delimiter = _delimiter(first)
            # Not by going back to the start: a pipe cannot.
            reader = csv.reader(chain([first], stream), strict=True, delimiter=delimiter)
            header = tuple(cell.strip() for cell in next(reader, []))
            if not header:
                raise TableError(f"{path} is empty.")
            rows = ((reader.line_num, row) for row in reader if row)
            yield Table(path, header, rows, delimiter)
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not text in UTF-8.") from error
    except csv.Error as error:
        raise TableError(f"{path} is not CSV: {error}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"{path} cannot be read: {_why(error)}.") from error


def _delimiter(header: str) -> str:
    # Spreadsheets of half the world write semicolons, because their decimal mark is the comma.
    found = Counter(letter for letter in header if letter in ",;\t")
    return max(",;\t", key=lambda letter: found[letter])


def _open_text(path: Path) -> IO[str]:
    # Spreadsheets put a byte order mark first; utf-8-sig takes it off.
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).rstrip(".").lower()
