"""Drawing the ids of a file into arms. Nothing but the result file is stored. Pure."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.spreadsheets import Texts
from experiments.randomize.arms import Arms
from experiments.randomize.hash import bucket_of_many
from experiments.terminal.tables import Table, TableError, no_progress, open_table

# Possible names of the column of ids. The first one found is used.
ID_COLUMNS = ("id", "unit_key", "enrollment_id", "learner_id", "user_id", "student_id", "learner")


@dataclass(frozen=True)
class Draws:
    """The ids of a file with their buckets and arms. An arm of None means not drawn."""

    ids: list[str]
    buckets: list[int]
    arms: list[str | None]
    # Empty for a bare list with one id per line.
    column: str

    @property
    def sizes(self) -> Counter[str | None]:
        """Return the number of ids per arm."""
        return Counter(self.arms)


def draw_file(
    path: Path, *, arms: Arms, seed: str, progress: Callable[[int], None] = no_progress
) -> Draws:
    """Return the draws of the file's ids in file order. Raise TableError for a bad file.

    `progress` receives the bytes of the file that are read so far.
    """
    with open_table(path) as table:
        column, ids = _read_ids(table, progress)
    buckets = bucket_of_many(ids, seed=seed).tolist()
    return Draws(ids, buckets, [arms.arm_at(bucket) for bucket in buckets], column)


def write_draws(draws: Draws, *, path: Path, texts: Texts) -> None:
    """Write id, bucket and arm of every draw as CSV. The arm of an id that is not drawn is empty.

    `texts` writes ids and arms, and counts those that a spreadsheet would run as formulas.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("id", "bucket", "arm"))
            for id_, bucket, arm in zip(draws.ids, draws.buckets, draws.arms, strict=True):
                writer.writerow((texts.cell(id_), bucket, texts.cell(arm or "")))
    except OSError as error:
        raise TableError(f"{path} cannot be written: {error.strerror}.") from error


def _read_ids(table: Table, progress: Callable[[int], None]) -> tuple[str, list[str]]:
    column = next((name for name in ID_COLUMNS if name in table.header), "")
    if column:
        return column, [_checked(*row) for row in table.cells([column], progress=progress)]
    if len(table.header) > 1:
        raise TableError(
            f"No column is named {', '.join(ID_COLUMNS[:-1])} or {ID_COLUMNS[-1]}. "
            f"The columns are: {', '.join(table.header)}."
        )
    # The only column has no known name, so the file is a bare list and its first line is an id.
    # Taken for a header, it would leave one learner out of the draw.
    first = _checked(1, table.header)
    rows = table.cells(table.header, progress=progress)
    return "", [first, *(_checked(*row) for row in rows)]


def _checked(line: int, cells: Sequence[str]) -> str:
    if not cells[0]:
        raise TableError(f"Line {line} has no id.")
    return cells[0]
