"""JSON as it is stored and compared, and what is wrong with JSON that somebody typed. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from json import JSONDecodeError

_ROWS = json.JSONEncoder(default=str)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]')

# The errors of Python's JSON parser, in words for people who typed the text.
_EXPECTED = {
    "Expecting value": "a value was expected: a text in double quotes, a number, true, false, "
    "null, a list or an object; a comma before a closing bracket is not allowed",
    "Expecting ',' delimiter": "a comma or a closing bracket was expected",
    "Expecting ':' delimiter": "a colon was expected after the key",
    "Expecting property name enclosed in double quotes": "a key in double quotes was expected; a "
    "comma before a closing bracket is not allowed",
    "Illegal trailing comma before end of object": "a comma before a closing bracket is not "
    "allowed",
    "Illegal trailing comma before end of array": "a comma before a closing bracket is not allowed",
    "Unterminated string starting at": "the text that begins here has no closing quote",
    "Extra data": "the JSON ends before this place; nothing may follow it",
    "Invalid control character at": "a text may not contain a line break or a tab: write \\n or "
    "\\t",
    "Invalid \\escape": "a backslash may not be followed by this character",
    "Invalid \\uXXXX escape": "four hexadecimal digits were expected after \\u",
}


def canonical_json(value: object) -> str:
    """Return the value as canonical JSON: equal values give equal texts.

    Keys are sorted, and there are no spaces. This form may not change, because the digests of
    locked protocols and the identities of stored signals depend on every character.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def as_rows(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as JSON for PostgreSQL's jsonb_to_recordset. Instants and ids become texts.

    For long texts this is several times faster than a list per column, whose members psycopg quotes
    one by one in Python.
    """
    return _ROWS.encode(rows)


def json_fault(error: JSONDecodeError) -> str:
    """Return the place of the fault and what was expected there, without a full stop."""
    expected = _EXPECTED.get(error.msg, error.msg)
    return f"line {error.lineno}, column {error.colno}: {expected}"


def deep_path(text: str, *, depth: int) -> str:
    """Return the path to the place where the text first exceeds this depth: `rules[0].rules[2]`.

    Objects and lists both count. A parser would exceed the recursion limit and give no path.
    """
    path: list[str | int] = []
    for token in _TOKEN.finditer(text):
        _step(path, token.group())
        if len(path) > depth:
            break
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).strip(".")


def _step(path: list[str | int], mark: str) -> None:
    if mark in ("{", "["):
        path.append("" if mark == "{" else 0)
    elif mark in ("}", "]"):
        del path[-1:]
    elif path and mark == ",":
        path[-1] = path[-1] + 1 if isinstance(path[-1], int) else path[-1]
    elif path and isinstance(path[-1], str):
        # The last text before an object or a list begins is its key.
        path[-1] = mark[1:-1]


def kind_of(value: object) -> str:
    """Return in words what kind of JSON value this is."""
    words = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    words |= {list: "a list", tuple: "a list", dict: "an object", type(None): "null"}
    return words.get(type(value), f"of type {type(value).__name__}")
