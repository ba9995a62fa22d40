"""Read learners and enrollments from the cells of a spreadsheet. Pure."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import StringIO
from typing import Any

from activity.sheet_days import Order, order_of, read_sheet_day
from common.clock import local_midnight
from common.spreadsheets import undefused

# A dry run of more would hold its locks for too long: 5,000 rows take a few seconds.
MOST_ROWS = 5_000
MOST_COLUMNS = 50
MOST_BYTES = 1_000_000
DELIMITERS = ",;\t"
ID = "external_id"


class SheetError(ValueError):
    """The file cannot be read as a table. The message is a sentence."""


@dataclass(frozen=True)
class SheetField:
    """What a column can hold: its name in the roster, its label, and usual headers of it."""

    name: str
    label: str
    headers: tuple[str, ...]
    of_enrollment: bool = False


FIELDS = (
    SheetField(
        ID, "Id of the learner",
        (
            *("id", "learner", "learnerid", "externalid", "userid", "username", "studentid"),
            *("studentnumber", "studentno", "studentnummer", "leerlingnummer", "nummer"),
            "matrikelnummer",
        ),
    ),
    SheetField(
        "name", "Name", ("name", "fullname", "displayname", "student", "naam", "nom", "nombre")
    ),
    SheetField(
        "given_name", "First name",
        ("firstname", "givenname", "forename", "voornaam", "vorname", "prénom"),
    ),
    SheetField("email", "Email address", ("email", "mail", "emailaddress", "address")),
    SheetField("time_zone", "Time zone", ("timezone", "zone")),
    SheetField("locale", "Language", ("language", "locale", "lang")),
    SheetField(
        "section", "Section",
        ("section", "class", "group", "cohort", "klas", "klasse", "classe", "clase"),
        of_enrollment=True,
    ),
    SheetField(
        "enrolled_at", "Enrolled on",
        (
            *("enrolledat", "enrolledon", "enrolled", "startdate"),
            *("since", "sinds", "seit", "depuis"),
        ),
        of_enrollment=True,
    ),
)  # fmt: skip
FIELDS_BY_NAME = {each.name: each for each in FIELDS}


@dataclass(frozen=True)
class Sheet:
    """The cells of a file: its header, and its rows with their line in the spreadsheet."""

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    def samples(self, column: int, *, most: int = 3) -> list[str]:
        """Return the first texts of the column that are not empty."""
        texts = (cells[column] for _, cells in self.rows if column < len(cells) and cells[column])
        return [text for text, _ in zip(texts, range(most), strict=False)]


@dataclass(frozen=True)
class SheetRow:
    """A row as values of the roster, or the sentence that says why it is none."""

    number: int
    learner: Mapping[str, Any] = field(default_factory=dict)
    enrollment: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    # The beginning of a new enrollment that has no day of its own.
    begins_at: datetime | None = None


def decoded(content: bytes) -> str:
    """Return the text of a file as spreadsheets save it. Raise SheetError if it is no text."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        # An older Excel writes the letters of Western Europe in one byte each.
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SheetError("The file is not a text. Save the spreadsheet as CSV and choose that file.")


def read_sheet(text: str, *, each: str = "learner") -> Sheet:
    """Return the cells of the CSV text, a line per `each`. Raise SheetError with a sentence."""
    # Excel's own files are archives, which begin like this.
    if text.startswith("PK\x03\x04") or "\0" in text:
        raise SheetError("The file is not CSV. Save the spreadsheet as CSV and choose that file.")
    if not text.strip():
        raise SheetError("Choose a CSV file, or paste the cells of the spreadsheet.")
    lines = list(_lines(text.removeprefix("\ufeff")))
    if len(lines) < 2:
        raise SheetError(
            f"The table needs a line with the names of its columns and a line per {each}."
        )
    if len(lines) > MOST_ROWS + 1:
        raise SheetError(
            f"The file has {len(lines) - 1:,} rows. At most {MOST_ROWS:,} can be imported at a "
            "time. Divide the file."
        )
    if len(lines[0][1]) > MOST_COLUMNS:
        raise SheetError(f"The file has more than {MOST_COLUMNS} columns. Remove some of them.")
    return Sheet(lines[0][1], tuple(lines[1:]))


def guessed(header: Sequence[str]) -> dict[int, str]:
    """Return by column the field that its header names. Each field is guessed once."""
    found: dict[int, str] = {}
    for column, text in enumerate(header):
        plain = re.sub(r"[\W_]", "", text).lower()
        for each in FIELDS:
            if plain in each.headers and each.name not in found.values():
                found[column] = each.name
    return found


def sheet_rows(
    sheet: Sheet,
    *,
    columns: Mapping[str, int],
    course: str,
    time_zone: str,
    begins_at: datetime | None = None,
) -> Iterator[SheetRow]:
    """Yield each row as values of the roster. `columns` holds the column of each field.

    An empty cell is left out, so that it does not erase what is stored. A new enrollment without a
    day begins at `begins_at`, or when it is saved.
    """
    at = columns.get("enrolled_at")
    days = () if at is None else (cells[at] for _, cells in sheet.rows if at < len(cells))
    order = order_of(days)
    for number, cells in sheet.rows:
        values = {
            name: cells[column]
            for name, column in columns.items()
            if column < len(cells) and cells[column]
        }
        yield replace(_row(number, values, course, time_zone, order), begins_at=begins_at)


def _row(
    number: int, values: dict[str, Any], course: str, time_zone: str, order: Order | None
) -> SheetRow:
    if ID not in values:
        return SheetRow(number, fault="The id of the learner is missing.")
    try:
        if "enrolled_at" in values:
            values["enrolled_at"] = _instant(values["enrolled_at"], time_zone, order)
    except ValueError as error:
        return SheetRow(number, values, fault=f"Enrolled on: {error}")
    enrollment = {name: values.pop(name) for name in _OF_ENROLLMENT if name in values}
    return SheetRow(number, values, {"course": course, "learner": values[ID], **enrollment})


_OF_ENROLLMENT = [each.name for each in FIELDS if each.of_enrollment]


def _instant(text: str, time_zone: str, order: Order | None) -> str:
    """Return the instant of a text with an offset, or the midnight at which a day begins."""
    if "T" in text:
        return text
    return local_midnight(read_sheet_day(text, order=order), time_zone).isoformat()


def _lines(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        for number, cells in enumerate(reader, start=1):
            if any(cell.strip() for cell in cells):
                yield number, tuple(undefused(cell.strip()) for cell in cells)
    except csv.Error as error:
        raise SheetError(f"Line {reader.line_num} of the file cannot be read: {error}.") from error
