"""Quick reading of a plain CSV file by pyarrow, in parts, so that memory holds no text twice. Pure.

A file or a cell with anything unusual raises `NotPlainError`, and is then read row by row.
"""

import gzip
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from experiments.terminal.cells import in_range, parse_number
from experiments.terminal.labels import Labels
from experiments.terminal.tables import Table

_SCAN_BYTES = 1 << 20


class NotPlainError(Exception):
    """The file must be read row by row."""


def read_plain(
    table: Table, *, numbers: Sequence[str], labels: Sequence[str], progress: Callable[[int], None]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Labels]]:
    """Return the columns of numbers and of names. `progress` receives the bytes read so far.

    Raise NotPlainError, an error of pyarrow or OSError if the file cannot be read this way.
    """
    _require_plain_file(table)
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in numbers}
    coded: dict[str, list[pa.DictionaryArray]] = {name: [] for name in labels}
    for batch in _batches(table, [*numbers, *labels], progress):
        for name, arrays in values.items():
            arrays.append(to_numbers(batch[str(table.place(name))], table.delimiter))
        for name, parts in coded.items():
            parts.append(batch[str(table.place(name))].dictionary_encode())
    if not all((*values.values(), *coded.values())):
        # There is no row, and so no array to join.
        raise NotPlainError
    return (
        {name: np.concatenate(arrays) for name, arrays in values.items()},
        {name: _joined(parts) for name, parts in coded.items()},
    )


def to_numbers(cells: pa.StringArray, delimiter: str) -> NDArray[np.float64]:
    """Return the numbers in the cells. Raise NotPlainError for a cell that is no usable number."""
    cells = pc.utf8_trim_whitespace(cells)
    values = _cast(cells)
    if values is None:
        # There are empty cells, words or decimal commas: each distinct text is parsed once.
        coded = cells.dictionary_encode()
        values = _each(coded.dictionary.to_pylist(), delimiter)[np.asarray(coded.indices)]
    if not in_range(values).all():
        raise NotPlainError
    return values


def _batches(
    table: Table, wanted: Sequence[str], progress: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    # The columns are read by their number, because a header may name one that is not read twice.
    columns = list(dict.fromkeys(str(table.place(name)) for name in wanted))
    with pa.OSFile(str(table.path)) as file, _unpacked(file, table) as stream:
        reader = arrow_csv.open_csv(
            stream,
            read_options=arrow_csv.ReadOptions(
                column_names=[str(place) for place in range(len(table.header))], skip_rows=1
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=table.delimiter),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            yield batch
            progress(file.tell())


def _unpacked(file: pa.NativeFile, table: Table) -> pa.NativeFile:
    return pa.CompressedInputStream(file, "gzip") if table.is_packed else file


def _require_plain_file(table: Table) -> None:
    # A pipe can be read only once.
    if not table.path.is_file():
        raise NotPlainError
    with gzip.open(table.path) if table.is_packed else table.path.open("rb") as stream:
        while block := stream.read(_SCAN_BYTES):
            if b'"' in block and not _is_plainly_quoted(block + stream.readline(), table):
                raise NotPlainError


def _is_plainly_quoted(lines: bytes, table: Table) -> bool:
    """Return whether each quote belongs to a cell that is quoted whole, without quotes or breaks.

    Readers agree on such cells. On a quote in the middle of a cell, or one that is not closed, they
    do not.
    """
    edge = re.escape(table.delimiter.encode())
    cell = rb"(?:(?<=[\r\n" + edge + rb'])|^)"[^"\r\n]*"(?=[\r\n' + edge + rb"]|$)"
    return lines.count(b'"') == 2 * len(re.findall(cell, lines.removeprefix(BOM_UTF8)))


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
        raise NotPlainError
    return np.array(numbers, dtype=np.float64)


def _joined(parts: Sequence[pa.DictionaryArray]) -> Labels:
    whole = pa.chunked_array(parts).unify_dictionaries()
    codes = np.concatenate([np.asarray(part.indices, dtype=np.int32) for part in whole.chunks])
    return Labels.of(whole.chunk(0).dictionary.to_pylist(), codes)
