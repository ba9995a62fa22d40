"""Make any value storable as JSON, so that even the strangest refused event can be kept. Pure."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

MAX_DEPTH = 50
# Longer text cannot belong to a storable event (its properties are limited to a million characters
# in all), so the rest of it is of no use to anybody.
MAX_TEXT = 1_000_000
MAX_ENTRIES = 100_000


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


def storable_text(value: str) -> str:
    """Return the text without NUL and half characters, cut to a million characters."""
    cut = value[:MAX_TEXT].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return cut.encode(errors="replace").decode()


def digest(payload: object) -> str:
    """Return the SHA-256 of the payload's canonical JSON: the same event has the same digest."""
    text = json.dumps(payload, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
