"""Say where JSON text is nested too deeply, without reading it as JSON. Pure."""

import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]')


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
