"""Check the keys and texts of a rule's JSON objects, and word their faults. Pure."""

import json
from collections.abc import Mapping
from difflib import get_close_matches

from common.json_text import kind_of
from common.stored_text import unstorable
from segmentation.rules.types import RuleError

MAX_TEXT = 1000


def require(data: Mapping[str, object], key: str, path: str) -> object:
    """Return the value of the key. Raise RuleError if it is missing."""
    if key not in data:
        raise RuleError(join(path, key), "is missing")
    return data[key]


def refuse_unknown_keys(data: Mapping[str, object], path: str, known: frozenset[str]) -> None:
    """Raise RuleError at the first unknown key, with a suggestion."""
    for key in data:
        if key not in known:
            raise RuleError(join(path, str(key)), f"is not a known key here{closest(key, known)}")


def read_text(value: object, path: str) -> str:
    """Return the value if it is a text that can be stored. Raise RuleError otherwise."""
    if not isinstance(value, str):
        raise RuleError(path, f"must be text, is {kind_of(value)}")
    if not value or len(value) > MAX_TEXT:
        raise RuleError(path, f"must have 1 to {MAX_TEXT} characters, has {len(value)}")
    character = unstorable(value)
    if character:
        raise RuleError(path, f"contains {character}, which cannot be stored")
    return value


def join(path: str, key: str) -> str:
    """Return the path to a key of the object at the given path."""
    return f"{path}.{key}" if path else key


def closest(name: object, known: object) -> str:
    """Return a suggestion of a similar known name, or an empty text."""
    close = get_close_matches(str(name), list(known), n=1)  # type: ignore[call-overload]
    return f"; did you mean '{close[0]}'?" if close else ""


def show(value: object) -> str:
    """Return the value for an error message: short texts and numbers, or else its kind."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return kind_of(value)
    text = repr(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
