"""JSON as it is stored and compared, and what is wrong with JSON that somebody typed. Pure."""

import json
import re
from json import JSONDecodeError

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]')

# What the reader of JSON expected, in the words of somebody who typed it.
_EXPECTED = {
    "Expecting value": "a value was expected: a text in double quotes, a number, true, false, "
    "null, a list or an object; no comma may stand before a closing bracket",
    "Expecting ',' delimiter": "a comma was expected, or the bracket that closes",
    "Expecting ':' delimiter": "a colon was expected after the key",
    "Expecting property name enclosed in double quotes": "a key in double quotes was expected, and "
    "no comma before a closing bracket",
    "Illegal trailing comma before end of object": "no comma may stand before a closing bracket",
    "Illegal trailing comma before end of array": "no comma may stand before a closing bracket",
    "Unterminated string starting at": "the text that begins here lacks its closing quote",
    "Extra data": "the JSON ends before this; nothing was expected after it",
    "Invalid control character at": "a text may not hold a line break or a tab: write \\n or \\t",
    "Invalid \\escape": "the backslash is not followed by a letter it may stand before",
    "Invalid \\uXXXX escape": "four hexadecimal digits were expected after \\u",
}


def canonical_json(value: object) -> str:
    """Return the value as JSON in the one form that is stored and compared: equal if values are.

    Keys are sorted and nothing is spaced. The digest of each locked protocol and the identity of
    each signal that a membership holds hang on every character: this form may not change.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def json_fault(error: JSONDecodeError) -> str:
    """Return where the text stops being JSON and what was expected there, without a full stop."""
    expected = _EXPECTED.get(error.msg, error.msg)
    return f"line {error.lineno}, column {error.colno}: {expected}"


def deep_path(text: str, *, depth: int) -> str:
    """Return the path to where the text first passes this depth, as in `rules[0].rules[2]`.

    Objects and lists count alike. A parser would run out of its stack before it could say.
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
        # The last text before an object or a list opens is its key.
        path[-1] = mark[1:-1]


def kind_of(value: object) -> str:
    """Return in words what kind of JSON value this is."""
    words = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    words |= {list: "a list", tuple: "a list", dict: "an object", type(None): "null"}
    return words.get(type(value), f"of type {type(value).__name__}")
