"""Make any value storable as JSON, so that every refused event can be kept. Pure."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal

from common.stored_text import storable_text

# The most levels of objects and lists in an event's properties. Deeper data is of no use, and data
# with hundreds of levels can be stored but not shown again.
MAX_LEVELS = 50
# A valid event is never shortened: the event itself is one more level.
MAX_DEPTH = MAX_LEVELS + 1
MAX_ENTRIES = 100_000
_NESTING = (Mapping, list, tuple)


def storable(value: object, depth: int = 0) -> object:
    """Return the value in JSON types that PostgreSQL accepts.

    The content of a valid event is not changed. NUL, half characters, NaN, objects of other types,
    and parts that are too deep or too long are replaced by text that describes them.
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
    """Return whether objects and lists are nested more than this many levels deep."""
    found: list[object] = [value]
    # Level by level, because recursion would exceed the stack.
    for _ in range(levels + 1):
        # Each part once: with shared parts, the number of lists would double at every level.
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
        # Python refuses to print numbers with very many digits.
        return value if abs(value) < 10**30 else f"a number of {value.bit_length()} bits"
    if isinstance(value, float | Decimal):
        fits = math.isfinite(value) and abs(float(value)) < 1e300
        return float(value) if fits else str(value)[:100]
    return storable_text(repr(value))
