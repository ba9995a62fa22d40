"""The differences between two texts, word by word, for people to read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile

# Comparing takes the square of the number of pieces in the worst case.
_MOST_PIECES = 2_000
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """A piece of text: "same", "gone" or "new"."""

    kind: str
    text: str


def differences(before: str, after: str) -> list[Piece]:
    """Return the pieces of both texts in order. A changed piece is gone first and then new."""
    if before == after:
        return [Piece("same", after)] if after else []
    return list(_compared(*_pieces(before, after)))


def _pieces(before: str, after: str) -> tuple[list[str], list[str]]:
    words = _WORD.findall(before), _WORD.findall(after)
    if max(map(len, words)) <= _MOST_PIECES:
        return words
    return before.splitlines(keepends=True), after.splitlines(keepends=True)


def _compared(before: list[str], after: list[str]) -> Iterator[Piece]:
    head = _number_alike(before, after)
    tail = _number_alike(before[head:][::-1], after[head:][::-1])
    if head:
        yield Piece("same", "".join(after[:head]))
    yield from _middle(before[head : len(before) - tail], after[head : len(after) - tail])
    if tail:
        yield Piece("same", "".join(after[-tail:]))


def _number_alike(before: list[str], after: list[str]) -> int:
    """Return how many pieces at the beginning are the same."""
    pairs = zip(before, after, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _middle(before: list[str], after: list[str]) -> Iterator[Piece]:
    # Spaces are everywhere. As beginnings of a match, they would make it take minutes.
    matcher = SequenceMatcher(None, before, after, autojunk=True)
    for kind, begin, end, first, last in matcher.get_opcodes():
        gone, new = "".join(before[begin:end]), "".join(after[first:last])
        if kind == "equal":
            yield Piece("same", new)
            continue
        if gone:
            yield Piece("gone", gone)
        if new:
            yield Piece("new", new)
