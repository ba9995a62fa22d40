"""GrowthBook's hash, which maps a seed and an id to a bucket from 0 to 9999.

It follows specification 5 of the GrowthBook SDKs, whose published vectors are the tests. It depends
only on its arguments, so a draw can be repeated years later from the seed and the id.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

BUCKETS = 10_000
_OFFSET_BASIS = 0x811C9DC5
_PRIME = 0x01000193
_MASK = 0xFFFFFFFF
# An array, because numpy makes one of a number at each operation.
_FACTOR = np.array(_PRIME, dtype=np.uint32)
# Small enough that a chunk's columns stay in the processor's cache.
_CHUNK = 8_192
# A character that ends a text where many are joined. No usual id holds it.
_BREAK = "\0"
_MOST_DIGITS = 10
# The first five of ten digits have so few values that their hashes are kept.
_HIGH, _LOW_DIGITS = np.uint32(100_000), 5
_TEN, _ZERO = np.uint32(10), np.uint32(ord("0"))
_POWERS = 10 ** np.arange(_MOST_DIGITS - 1, -1, -1, dtype=np.uint32)[:, None]


def bucket_of(unit_id: str, *, seed: str) -> int:
    """Return the bucket (0 to 9999) of an id: version 2 of the hash."""
    return fnv1a32(str(fnv1a32(seed + unit_id))) % BUCKETS


def bucket_of_many(unit_ids: Sequence[str], *, seed: str) -> NDArray[np.int64]:
    """Return for each id the result of `bucket_of`."""
    start = _state_of(seed)
    if len(unit_ids) <= _CHUNK:
        return _decimal_hashes(_hashes(unit_ids, start=start)) % BUCKETS
    chunks = [
        _decimal_hashes(_hashes(unit_ids[first : first + _CHUNK], start=start)) % BUCKETS
        for first in range(0, len(unit_ids), _CHUNK)
    ]
    return np.concatenate(chunks)


def hash_share(value: str, *, seed: str, version: int = 2) -> float:
    """Return the specification's hash as a share, 0 to 1 exclusive.

    Raise ValueError for an unknown version. Version 1 serves only namespaces and the published
    vectors. It correlates parallel experiments, so no arm is drawn with it.
    """
    if version == 1:
        return fnv1a32(value + seed) % 1000 / 1000
    if version == 2:
        return bucket_of(value, seed=seed) / BUCKETS
    raise ValueError(f"Hash version {version} is unknown. The versions are 1 and 2.")


def fnv1a32(text: str) -> int:
    """Return the 32 bit FNV-1a hash of the text's UTF-16 code units."""
    value = _OFFSET_BASIS
    for unit in _code_units(text).tolist():
        value = (value ^ unit) * _PRIME & _MASK
    return value


@lru_cache(maxsize=256)
def _state_of(seed: str) -> np.uint32:
    """Return the state after the seed, with which each id of its experiment begins."""
    return np.uint32(fnv1a32(seed))


def _code_units(text: str) -> NDArray[np.uint16]:
    # The specification uses JavaScript's charCodeAt, which returns UTF-16 code units. A character
    # beyond the first 65,536 has two of them, and one of such a pair may occur alone.
    return np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2")


def _hashes(texts: Sequence[str], *, start: np.uint32) -> NDArray[np.uint32]:
    """Return the FNV-1a state of each text, starting from the state of the text before it."""
    states = np.full(len(texts), start, dtype=np.uint32)
    whole = _BREAK.join((*texts, ""))
    if whole.isascii() and _have_one_length(texts, whole):
        # Usually all ids have one length and are ASCII, where a character is one code unit and one
        # byte. Whole columns are four times as fast as selected rows.
        characters = np.frombuffer(whole.encode(), np.uint8).reshape(len(texts), -1)[:, :-1]
        columns = list(characters.T.astype(np.uint32, order="C"))
        _add_columns(states, columns, factors=repeat(_FACTOR))
        return states
    whole = "".join(texts)
    units = _code_units(whole)
    lengths = _unit_counts(texts, total=len(units))
    for rows, column in _columns(units.astype(np.uint32), lengths):
        states[rows] = (states[rows] ^ column) * _FACTOR
    return states


def _have_one_length(texts: Sequence[str], whole: str) -> bool:
    """Return whether the texts have one length. `whole` has a break after each of them.

    It is three times as fast as asking each text: the breaks are where they must be, and there are
    no others.
    """
    if not texts:
        return False
    width = len(texts[0])
    return whole.count(_BREAK) == len(texts) and whole[width :: width + 1] == _BREAK * len(texts)


def _columns(
    units: NDArray[np.uint32], lengths: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32]]]:
    """Yield for each position the texts that are long enough, and their code units there."""
    offsets = np.cumsum(lengths) - lengths
    for place in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > place)
        yield rows, units[offsets[rows] + place]


def _unit_counts(texts: Sequence[str], *, total: int) -> NDArray[np.int64]:
    counts = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    if counts.sum() == total:
        return counts
    # At least one character takes two code units.
    return np.array([len(_code_units(text)) for text in texts], dtype=np.int64)


def _decimal_hashes(numbers: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the FNV-1a hash of each number's decimal text."""
    high = numbers // _HIGH
    states = _hashes_of_high().take(high)
    columns = _low_digits().take(numbers - high * _HIGH, axis=1)
    _add_columns(states, list(columns), factors=repeat(_FACTOR))
    found: NDArray[np.int64] = states.astype(np.int64)
    if not high.all():
        small = np.flatnonzero(high == 0)
        found[small] = _texts_hashes(numbers[small])
    return found


@cache
def _low_digits() -> NDArray[np.uint32]:
    """Return the code units of the last five digits of each number, a row per digit."""
    low = np.arange(_HIGH, dtype=np.uint32)
    digits: NDArray[np.uint32] = low // _POWERS[-_LOW_DIGITS:] % _TEN + _ZERO
    return digits


@cache
def _hashes_of_high() -> NDArray[np.uint32]:
    """Return the hash of the text of each number that the digits above the last five can be."""
    return _texts_hashes(np.arange(_MASK // int(_HIGH) + 1, dtype=np.uint32))


def _texts_hashes(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the FNV-1a hash of each number's decimal text, digit by digit."""
    # One row per digit, the first digit of the largest numbers first.
    leading = numbers // _POWERS
    digits = leading % _TEN + _ZERO
    # Leading zeros are not part of the text, but the number zero has one digit. A digit of 0 and a
    # factor of 1 leave a state as it is, which is faster than a choice of rows.
    leading[-1] = 1
    is_written = leading > 0
    digits *= is_written
    factors = np.where(is_written, _FACTOR, np.uint32(1))
    states = np.full(len(numbers), _OFFSET_BASIS, dtype=np.uint32)
    _add_columns(states, digits, factors=factors)
    return states


def _add_columns(
    states: NDArray[np.uint32], columns: Iterable[Any], *, factors: Iterable[Any]
) -> None:
    """Add a code unit to each state, column by column."""
    add, multiply = np.bitwise_xor, np.multiply
    for column, factor in zip(columns, factors, strict=False):
        add(states, column, states)
        multiply(states, factor, states)
