"""Write the signals of all enrollments in scope of a course at an instant to a CSV file."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.spreadsheets import FOR_SPREADSHEET_HELP, Texts
from segmentation.management.arguments import add_instant, find_course, read_instant
from segmentation.queries import SignalRow, export_refs, read_signals
from segmentation.signals import SignalRef, SignalValue

_BOTH = "\r\n"


class Command(BaseCommand):
    help = (
        "Write one row per enrollment in scope: the learner, then one column per signal, for the"
        " usual windows and those that the course's segments use. Empty means unknown. Ids and"
        " other texts are not changed, so that programs can read them. A spreadsheet would run a"
        " text that begins with = + - or @ as a formula: for a spreadsheet, use --for-spreadsheet."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--course", required=True, metavar="KEY")
        add_instant(parser)
        parser.add_argument("--out", required=True, metavar="FILE.csv")
        parser.add_argument(
            "--for-spreadsheet",
            action="store_true",
            help=FOR_SPREADSHEET_HELP,
        )

    def handle(self, *args: Any, **options: Any) -> None:
        course = find_course(options["course"])
        refs = export_refs(course)
        rows = read_signals(course, refs, as_of=read_instant(options["as_of"]))
        path = Path(options["out"])
        texts = Texts(marks=options["for_spreadsheet"])
        try:
            written = _write(path, refs, rows, texts)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
        except ValueError as error:
            raise CommandError(f"{path} cannot be written: {error}.") from None
        self.stdout.write(f"{written:,} learners, {len(refs)} signals each, written to {path}.")
        if texts.warning:
            self.stderr.write(texts.warning)


class _Lines:
    """A file whose lines end with a line feed only."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, line: str) -> int:
        """Write a line that ends with carriage return and line feed."""
        # If the csv writer used only a line feed, it would not quote a text with a carriage return,
        # and a reader of the file would find the row split in two.
        return self.file.write(f"{line.removesuffix(_BOTH)}\n")


def _write(path: Path, refs: list[SignalRef], rows: Iterable[SignalRow], texts: Texts) -> int:
    """Write the file and return the number of rows."""
    written = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(_Lines(file), lineterminator=_BOTH)
        writer.writerow(["learner", *(ref.column for ref in refs)])
        for row in rows:
            signals = (_cell(row.signals[ref.identity], texts) for ref in refs)
            writer.writerow([texts.cell(row.learner), *signals])
            written += 1
    return written


def _cell(value: SignalValue, texts: Texts) -> str:
    """Return the value as text from which it can be read back. Unknown is empty."""
    if value is None:
        return ""
    # Only texts are marked: to a spreadsheet a number with a minus is a number too.
    if isinstance(value, str):
        return texts.cell(value)
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return repr(value) if isinstance(value, float) else str(value)
