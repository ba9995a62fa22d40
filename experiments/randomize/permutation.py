"""Permutations and choices that depend only on their key, today and in years. Pure.

The numbers come from SHA-256, not from numpy: the streams of its generators may change with a
release, and a draw must be replayed long after it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count

from common.json_text import canonical_json

_WORDS = 2**32


def random_words(*key: str | int) -> Iterator[int]:
    """Yield numbers from 0 to 2**32 - 1 for ever: SHA-256 of the key and a counter, in order."""
    for block in count():
        digest = hashlib.sha256(canonical_json([*key, block]).encode()).digest()
        for start in range(0, len(digest), 4):
            yield int.from_bytes(digest[start : start + 4], "big")


def below(limit: int, words: Iterator[int]) -> int:
    """Return a number from 0 to limit - 1, each equally likely."""
    # The last words would make small numbers a little more likely, so they are passed over.
    fair = _WORDS - _WORDS % limit
    return next(word for word in words if word < fair) % limit


def permuted(items: Sequence[str], words: Iterator[int]) -> list[str]:
    """Return the items in an order of which each is equally likely. Durstenfeld (1964)."""
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        chosen = below(last + 1, words)
        order[last], order[chosen] = order[chosen], order[last]
    return order
