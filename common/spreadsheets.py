"""Texts in CSV files that a spreadsheet may open. Pure."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

# A spreadsheet runs a text that begins with one of these as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
# Where the comma is the decimal sign, a spreadsheet divides lines at semicolons. So the second part
# of "Bob;=1+1" becomes a cell, and so does each line of a text.
_BEGINS_INSIDE = re.compile(r"(?<=.[;\t\r\n])(?=[=+\-@])", re.DOTALL)
_MARKED_INSIDE = re.compile(r"(?<=.[;\t\r\n])'(?=[=+\-@])", re.DOTALL)
NOT_FOR_SPREADSHEETS = (
    "{count:,} texts in the file begin like a formula. Do not open it in a spreadsheet; write it"
    " again with --for-spreadsheet."
)
FOR_SPREADSHEET_HELP = "put an apostrophe before each text that would run as a formula"


@dataclass
class Texts:
    """Writes texts to a file, and counts those that a spreadsheet would run as formulas."""

    marks: bool
    formulas: int = 0

    def cell(self, text: str) -> str:
        """Return the text. If `marks` is set, put an apostrophe before each formula."""
        found = _BEGINS_INSIDE.sub("'", text)
        if text.startswith(FORMULA):
            found = f"'{found}"
        self.formulas += found != text
        return found if self.marks else text

    @property
    def warning(self) -> str:
        """Return the warning about the file, or an empty text if it has no formulas."""
        if self.marks or not self.formulas:
            return ""
        return NOT_FOR_SPREADSHEETS.format(count=self.formulas)


def spreadsheet_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a CSV file that a spreadsheet opens correctly and without formulas."""
    # Without this mark, Excel reads "é" as two other letters.
    yield "\ufeff"
    texts = Texts(marks=True)
    cells = ([texts.cell(text) for text in row] for row in chain((header,), rows))
    yield from csv_lines(cells, end="\r\n")


def csv_lines(rows: Iterable[Sequence[str]], *, end: str = "\n") -> Iterator[str]:
    """Yield the lines of a CSV file as they are, for programs."""
    line = csv.writer(_Line(), lineterminator=end)
    return map(line.writerow, rows)


class _Line:
    """A file that returns each line, so that the writer returns it and nothing is collected."""

    def write(self, line: str) -> str:
        return line


def undefused(text: str) -> str:
    """Return the text without the apostrophes that `Texts` puts before formulas."""
    text = _MARKED_INSIDE.sub("", text)
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text
