"""Make any value storable as JSON, so that even the strangest refused event can be kept. Pure."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal

from common.stored_text import storable_text

# Levels of objects and lists in an event's properties. Nobody reads what is nested deeper, and what
# is nested hundreds of levels deep can be stored but not shown again.
MAX_LEVELS = 50
# A valid event comes back whole: it is a level itself, and the innermost values lie one further in.
MAX_DEPTH = MAX_LEVELS + 1
MAX_ENTRIES = 100_000
_NESTING = (Mapping, list, tuple)


def storable(value: object, depth: int = 0) -> object:
    """Return the value made of JSON types that PostgreSQL takes.

    What a valid event holds comes back as it was; NUL, half characters, NaN, objects of other
    types, too deep and too long parts are replaced by text that shows what was there.
    """
    if depth > MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {
            storable_text(str(key)): storable(part, depth + 1)
            for key, part in list(value.items())[:MAX_ENTRIES]
        }
    if isinstance(value, list | tuple):
        return [storable(part, depth + 1) for part in value[:MAX_ENTRIES]]
    return _single(value)


def is_nested_deeper(value: object, *, levels: int) -> bool:
    """Return whether objects and lists lie in each other more than this many levels deep."""
    found: list[object] = [value]
    # Level by level, for to follow each into its depth would run out of the stack.
    for _ in range(levels + 1):
        # Each once: lists that share their parts would double with every level.
        found = list({id(part): part for part in found if isinstance(part, _NESTING)}.values())
        if not found:
            return False
        found = [inner for part in found for inner in _parts(part)]
    return True


def digest(payload: object) -> str:
    """Return the SHA-256 of the payload's canonical JSON: the same event has the same digest."""
    # Not common.json_text's form: an event that comes again, after an upgrade too, must have the
    # digest under which it is stored.
    text = json.dumps(payload, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _single(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int):
        # Python refuses to write out numbers of very many digits.
        return value if abs(value) < 10**30 else f"a number of {value.bit_length()} bits"
    if isinstance(value, float | Decimal):
        fits = math.isfinite(value) and abs(float(value)) < 1e300
        return float(value) if fits else str(value)[:100]
    return storable_text(repr(value))
