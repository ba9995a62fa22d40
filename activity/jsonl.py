"""Parse a file of JSON lines into numbered lines, grouped by type. Pure."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from activity.canonical import shown
from common.json_text import kind_of

TYPES = ("course", "section", "item", "learner", "enrollment", "optout", "event")
FAULTY = "faulty"
GROUP = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: its number from 1, its type, and its fields or its fault."""

    number: int
    type: str
    values: dict[str, Any]
    fault: str = ""


def read_lines(lines: Iterable[bytes], *, on_bytes: Callable[[int], object]) -> Iterator[Line]:
    """Yield every line that is not blank. Call `on_bytes` with the size of each line read."""
    for number, text in enumerate(lines, start=1):
        on_bytes(len(text))
        if text.strip():
            yield _read(number, text)


def grouped(lines: Iterable[Line]) -> Iterator[tuple[str, list[Line]]]:
    """Yield adjacent lines of the same type, at most GROUP at a time."""
    for type_, group in groupby(lines, key=lambda line: line.type):
        while chunk := list(islice(group, GROUP)):
            yield type_, chunk


def _read(number: int, text: bytes) -> Line:
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        return Line(number, FAULTY, {}, "The line is nested too deeply.")
    except ValueError as error:
        # Also raised for text that is not UTF-8 and for numbers with thousands of digits.
        return Line(number, FAULTY, {}, f"The line is not JSON: {error}.")
    if not isinstance(values, dict):
        return Line(number, FAULTY, {}, f"A line must be an object, but this is {kind_of(values)}.")
    type_ = values.pop("type", None)
    if type_ not in TYPES:
        given = "is missing" if type_ is None else f"is {shown(type_)}"
        return Line(number, FAULTY, {}, f"The type {given}; it must be one of {', '.join(TYPES)}.")
    return Line(number, type_, values)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
