"""Write the signals of everybody in scope of a course at an instant to a CSV file."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from segmentation.management.arguments import add_instant, find_course, read_instant
from segmentation.queries import SignalRow, export_refs, read_signals
from segmentation.signals import SignalRef, SignalValue


class Command(BaseCommand):
    help = (
        "Write a row for each enrollment in scope: the learner, then a column for each signal, over"
        " the usual windows and those that the course's segments ask for. Empty means unknown."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--course", required=True, metavar="KEY")
        add_instant(parser)
        parser.add_argument("--out", required=True, metavar="FILE.csv")

    def handle(self, *args: Any, **options: Any) -> None:
        course = find_course(options["course"])
        refs = export_refs(course)
        rows = read_signals(course, refs, as_of=read_instant(options["as_of"]))
        path = Path(options["out"])
        try:
            written = _write(path, refs, rows)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
        self.stdout.write(f"{written:,} learners, {len(refs)} signals each, written to {path}.")


def _write(path: Path, refs: list[SignalRef], rows: Iterable[SignalRow]) -> int:
    """Write the file and return the number of rows."""
    written = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["learner", *(ref.column for ref in refs)])
        for row in rows:
            writer.writerow([row.learner, *(_cell(row.signals[ref.column]) for ref in refs)])
            written += 1
    return written


def _cell(value: SignalValue) -> str:
    """Return the value as text that reads back to the same value; unknown is empty."""
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)
