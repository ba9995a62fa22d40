"""Which arm owns which buckets. Ranges follow the GrowthBook specification; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.randomize.hash import BUCKETS, bucket_of, bucket_of_many, hash_share

# Half a bucket: a sum nearer to 1 than this leaves no bucket without an owner.
_SUM_TOLERANCE = 0.5 / BUCKETS
# What the specification tolerates before it falls back to equal weights.
_PUBLISHED_TOLERANCE = 0.01


@dataclass(frozen=True)
class Range:
    """A stretch of shares: its start belongs to it, its end does not."""

    start: float
    end: float

    def __contains__(self, share: float) -> bool:
        return self.start <= share < self.end


@dataclass(frozen=True)
class Arms:
    """The arms of an experiment in their fixed order, each with its range of buckets."""

    keys: tuple[str, ...]
    ranges: tuple[Range, ...]

    @classmethod
    def of(cls, weights: Mapping[str, float], *, coverage: float = 1.0) -> "Arms":
        """Return arms with these weights, of which the share `coverage` of all ids is drawn.

        An arm's range starts where it would with full coverage and is cut at its end: when coverage
        grows, ids join but nobody changes arm. Raise ValueError where the weights do not sum to 1.
        """
        _refuse_bad_shares(weights, coverage)
        return cls(tuple(weights), _ranges(list(weights.values()), coverage))

    def arm_at(self, bucket: int) -> str | None:
        """Return the key of the arm that owns the bucket; None where the bucket takes no part."""
        index = choose_range(bucket / BUCKETS, self.ranges)
        return None if index is None else self.keys[index]

    def draw(self, unit_id: str, *, seed: str) -> str | None:
        """Return the arm of the id; None where it takes no part."""
        return self.arm_at(bucket_of(unit_id, seed=seed))

    def draw_many(self, unit_ids: Sequence[str], *, seed: str) -> list[str | None]:
        """Return the arm of each id, as `draw` would."""
        owners = np.array([self.arm_at(bucket) for bucket in range(BUCKETS)], dtype=object)
        drawn: list[str | None] = owners[bucket_of_many(unit_ids, seed=seed)].tolist()
        return drawn


def bucket_ranges(
    count: int, *, coverage: float = 1.0, weights: Sequence[float] | None = None
) -> tuple[Range, ...]:
    """Return the specification's getBucketRange: what is out of bounds is mended, not refused.

    Coverage is moved into 0 to 1; weights of the wrong number, or far from 1 in sum, become equal.
    """
    shares = equal_weights(count) if weights is None else list(weights)
    if len(shares) != count or abs(sum(shares) - 1) > _PUBLISHED_TOLERANCE:
        shares = equal_weights(count)
    return _ranges(shares, min(max(coverage, 0.0), 1.0))


def choose_range(share: float, ranges: Sequence[Range]) -> int | None:
    """Return the index of the first range that holds the share; None if none does."""
    return next((index for index, owned in enumerate(ranges) if share in owned), None)


def equal_weights(count: int) -> list[float]:
    """Return so many equal weights; none for a count below 1."""
    return [1 / count] * count if count > 0 else []


def in_namespace(unit_id: str, *, namespace: str, owned: Range) -> bool:
    """Return whether the id falls into an experiment's part of a namespace."""
    return hash_share(unit_id, seed=f"__{namespace}", version=1) in owned


def _ranges(weights: Sequence[float], coverage: float) -> tuple[Range, ...]:
    starts = [sum(weights[:index]) for index in range(len(weights))]
    return tuple(
        Range(start, start + coverage * weight)
        for start, weight in zip(starts, weights, strict=True)
    )


def _refuse_bad_shares(weights: Mapping[str, float], coverage: float) -> None:
    if not weights:
        raise ValueError("An experiment needs at least one arm.")
    # Written so that a nan fails too.
    if not all(0 <= weight <= 1 for weight in weights.values()):
        raise ValueError(f"Every weight must lie between 0 and 1: {_listed(weights)}.")
    if abs(sum(weights.values()) - 1) > _SUM_TOLERANCE:
        raise ValueError(f"The weights must sum to 1: {_listed(weights)}.")
    if not 0 <= coverage <= 1:
        raise ValueError(f"Coverage must lie between 0 and 1: {coverage}.")


def _listed(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{key}={weight:g}" for key, weight in weights.items())
