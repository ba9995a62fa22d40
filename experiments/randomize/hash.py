"""GrowthBook's hash, which maps a seed and an id to a bucket from 0 to 9999.

It follows specification 5 of the GrowthBook SDKs, whose published vectors are the tests. It depends
only on its arguments, so a draw can be repeated years later from the seed and the id.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

BUCKETS = 10_000
_OFFSET_BASIS = 0x811C9DC5
_PRIME = 0x01000193
_MASK = 0xFFFFFFFF
# Small enough that a chunk's columns stay in the processor's cache.
_CHUNK = 8_192
_MOST_DIGITS = 10


def bucket_of(unit_id: str, *, seed: str) -> int:
    """Return the bucket (0 to 9999) of an id: version 2 of the hash."""
    return fnv1a32(str(fnv1a32(seed + unit_id))) % BUCKETS


def bucket_of_many(unit_ids: Sequence[str], *, seed: str) -> NDArray[np.int64]:
    """Return for each id the result of `bucket_of`."""
    start = np.uint32(fnv1a32(seed))
    chunks = [
        _decimal_hashes(_hashes(unit_ids[first : first + _CHUNK], start=start)) % BUCKETS
        for first in range(0, len(unit_ids), _CHUNK)
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *chunks])


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


def _code_units(text: str) -> NDArray[np.uint16]:
    # The specification uses JavaScript's charCodeAt, which returns UTF-16 code units. A character
    # beyond the first 65,536 has two of them, and one of such a pair may occur alone.
    return np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2")


def _hashes(texts: Sequence[str], *, start: np.uint32) -> NDArray[np.uint32]:
    """Return the FNV-1a state of each text, starting from the state of the text before it."""
    units = _code_units("".join(texts)).astype(np.uint32)
    lengths = _unit_counts(texts, total=len(units))
    states = np.full(len(texts), start, dtype=np.uint32)
    for rows, column in _columns(units, lengths):
        states[rows] = (states[rows] ^ column) * np.uint32(_PRIME)
    return states


def _columns(
    units: NDArray[np.uint32], lengths: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64] | slice, NDArray[np.uint32]]]:
    """Yield for each position the texts that are long enough, and their code units there."""
    longest = int(lengths.max(initial=0))
    if longest and lengths.min() == longest:
        # Usually all ids have one length. Whole columns are four times as fast as selected rows.
        yield from ((slice(None), column) for column in units.reshape(-1, longest).T.copy())
        return
    offsets = np.cumsum(lengths) - lengths
    for place in range(longest):
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
    states = np.full(len(numbers), _OFFSET_BASIS, dtype=np.uint32)
    for power in reversed(range(_MOST_DIGITS)):
        leading = numbers // np.uint32(10**power)
        digits = leading % np.uint32(10) + np.uint32(ord("0"))
        # Leading zeros are not part of the text, but the number zero has one digit.
        written = (leading > 0) | (power == 0)
        states = np.where(written, (states ^ digits) * np.uint32(_PRIME), states)
    return states.astype(np.int64)
