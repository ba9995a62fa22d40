"""Read the modules and quizzes of a course from the cells of a spreadsheet. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from activity.sheet_days import Order, order_of, read_sheet_day
from activity.spreadsheet import Sheet, SheetError

MOST_ITEMS = 500
MODULE = "module"
_HEADERS = {
    "kind": ("kind", "type"),
    "title": ("title", "name"),
    "parent": ("module", "parent", "chapter", "unit"),
    "assigned_on": ("from", "assignedon", "assigned", "start", "opens"),
    "due_on": ("due", "dueon", "until", "deadline"),
    "key": ("id", "key"),
    "url": ("link", "url", "address"),
}
_KINDS = {
    MODULE: ("module", "chapter", "unit", "lesson"),
    "video": ("video", "film", "movie"),
    "page": ("page", "text", "reading"),
    "quiz": ("quiz", "test"),
    "resource": ("resource", "file", "document"),
    "assignment": ("assignment", "homework", "task"),
    "discussion": ("discussion", "forum"),
    "other": ("other",),
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}
_DAYS = {"assigned_on": "From", "due_on": "Due"}
_LONGEST_KEY = 200


@dataclass(frozen=True)
class OutlineRow:
    """A row as values of an item, or the sentence that says why it is none."""

    number: int
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


def outline_rows(
    sheet: Sheet, *, course: str, stored: Mapping[tuple[str, str], str]
) -> Iterator[OutlineRow]:
    """Yield each row as values of an item of the course. Raise SheetError for another table.

    `stored` holds the keys of the course's items by kind and title. A row without an id means the
    item of its kind and title. A new item gets a key from its title. A module is named by its
    title, and an empty cell keeps what is stored.
    """
    columns = _columns(sheet)
    if len(sheet.rows) > MOST_ITEMS:
        raise SheetError(f"The table has {len(sheet.rows):,} rows. At most {MOST_ITEMS} are read.")
    listed = [(number, _cells(cells, columns)) for number, cells in sheet.rows]
    order = order_of(cells[name] for _, cells in listed for name in _DAYS if name in cells)
    keys = dict(stored)
    for position, (number, cells) in enumerate(listed, start=1):
        row = _row(number, cells, order, keys)
        yield row if row.fault else _placed(row, course, position)


def _columns(sheet: Sheet) -> dict[str, int]:
    plain = [re.sub(r"[\W_]", "", text).lower() for text in sheet.header]
    found = {
        name: plain.index(header)
        for name, headers in _HEADERS.items()
        for header in reversed(headers)
        if header in plain
    }
    if missing := {"kind", "title"} - set(found):
        names = " and ".join(sorted(name.capitalize() for name in missing))
        raise SheetError(f"The first line names the columns, and {names} is missing.")
    return found


def _cells(cells: tuple[str, ...], columns: Mapping[str, int]) -> dict[str, str]:
    return {name: cells[at] for name, at in columns.items() if at < len(cells) and cells[at]}


def _row(
    number: int, cells: dict[str, str], order: Order | None, keys: dict[tuple[str, str], str]
) -> OutlineRow:
    """Return the row, and note its key by its kind and title."""
    title = cells.get("title", "")
    try:
        values = _values(cells, order, keys)
    except ValueError as error:
        return OutlineRow(number, title, fault=str(error))
    keys[values["kind"], title] = values["key"]
    return OutlineRow(number, title, values)


def _values(
    cells: dict[str, str], order: Order | None, keys: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    if "title" not in cells:
        raise ValueError("The title is missing.")
    kind = _KIND_OF.get(cells.get("kind", "").lower())
    if kind is None:
        given, known = cells.get("kind", ""), ", ".join(_KINDS)
        raise ValueError(f"The kind “{given}” is unknown: write one of {known}.")
    values: dict[str, Any] = {**cells, "kind": kind}
    for name, label in _DAYS.items():
        if name in cells:
            values[name] = _day(cells[name], label, order)
    if "parent" in cells:
        values["parent"] = _module(cells["parent"], keys)
    made = keys.get((kind, cells["title"])) or _key(values.get("parent", ""), cells["title"])
    return values | {"key": cells.get("key") or made}


def _module(text: str, keys: Mapping[tuple[str, str], str]) -> str:
    """Return the key of the module with this title or this key."""
    modules = {key for (kind, _), key in keys.items() if kind == MODULE}
    found = keys.get((MODULE, text), text)
    if found not in modules:
        raise ValueError(f"The module “{text}” is not in a line above and not in the course.")
    return found


def _day(text: str, label: str, order: Order | None) -> Any:
    try:
        return read_sheet_day(text, order=order)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None


def _key(*texts: str) -> str:
    """Return a key of the letters and digits of the texts."""
    plain = re.sub(r"[\W_]+", "-", " ".join(text for text in texts if text).lower()).strip("-")
    return plain[:_LONGEST_KEY]


def _placed(row: OutlineRow, course: str, position: int) -> OutlineRow:
    values = {**row.values, "course": course, "position": position}
    return OutlineRow(row.number, row.title, values)
