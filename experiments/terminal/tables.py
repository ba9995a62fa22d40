"""Reading a CSV file with a header, plain or gzipped. Errors are sentences for users. Pure."""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

# Rows between two reports of progress.
_STRIDE = 10_000


def no_progress(position: int) -> None:
    """Report nothing."""


class TableError(ValueError):
    """A file, an option or a cell is wrong. The message is a sentence for its author."""


@dataclass(frozen=True)
class Table:
    """An open table: its header, and its rows with line numbers, which can be read once."""

    path: Path
    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]
    delimiter: str
    # How many bytes of the file are read; always 0 for a pipe, which has no size.
    position: Callable[[], int]

    @property
    def is_packed(self) -> bool:
        """Return whether the file is gzipped."""
        return _is_packed(self.path)

    def cells(
        self, columns: Sequence[str], *, progress: Callable[[int], None] = no_progress
    ) -> Iterator[tuple[int, list[str]]]:
        """Yield each row's line number and its cells in these columns, stripped of spaces.

        `progress` receives the bytes of the file that are read so far.
        """
        places = [self.place(column) for column in columns]
        for number, (line, row) in enumerate(self.rows):
            if number % _STRIDE == 0:
                progress(self.position())
            if len(row) != len(self.header):
                raise TableError(
                    f"Line {line} has {len(row)} cells, but the header has {len(self.header)}."
                )
            yield line, [row[place].strip() for place in places]

    def place(self, column: str) -> int:
        """Return the index of the column. Raise TableError if it does not occur exactly once."""
        if self.header.count(column) > 1:
            raise TableError(f"The header names the column '{column}' more than once.")
        if column not in self.header:
            raise TableError(
                f"There is no column '{column}'. The columns are: {', '.join(self.header)}."
            )
        return self.header.index(column)


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Open a CSV file as a context manager. A name that ends in .gz means gzipped.

    The delimiter is a comma, a semicolon or a tab, whichever is most frequent in the header. Raise
    TableError if the file cannot be read.
    """
    try:
        with path.open("rb") as file, _text(file, path) as stream:
            first = stream.readline()
            delimiter = _delimiter(first)
            # Not `seek(0)`: a pipe does not support it.
            reader = csv.reader(chain([first], stream), strict=True, delimiter=delimiter)
            header = tuple(cell.strip() for cell in next(reader, []))
            if not header:
                raise TableError(f"{path} is empty.")
            rows = ((reader.line_num, row) for row in reader if row)
            position = file.tell if file.seekable() else lambda: 0
            yield Table(path, header, rows, delimiter, position)
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not text in UTF-8.") from error
    except csv.Error as error:
        raise TableError(f"{path} is not CSV: {error}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"{path} cannot be read: {_why(error)}.") from error


def _delimiter(header: str) -> str:
    # Spreadsheets write semicolons in countries where the comma is the decimal mark.
    found = Counter(letter for letter in header if letter in ",;\t")
    return max(",;\t", key=lambda letter: found[letter])


def _text(file: BinaryIO, path: Path) -> TextIOWrapper:
    # Spreadsheets write a byte order mark first, and utf-8-sig removes it.
    bytes_of = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if _is_packed(path) else file
    return TextIOWrapper(bytes_of, encoding="utf-8-sig", newline="")


def _is_packed(path: Path) -> bool:
    return path.suffix == ".gz"


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).rstrip(".").lower()
