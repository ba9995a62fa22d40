"""The buckets of each arm. Ranges follow the GrowthBook specification. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.randomize.hash import BUCKETS, bucket_of, bucket_of_many, hash_share

# Half a bucket. If the sum is closer to 1 than this, every bucket has an arm.
_SUM_TOLERANCE = 0.5 / BUCKETS
# The specification falls back to equal weights beyond this distance from 1.
_PUBLISHED_TOLERANCE = 0.01


@dataclass(frozen=True)
class Range:
    """A half-open range of shares: it includes its start but not its end."""

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
        """Return arms with these weights, which together draw the share `coverage` of all ids.

        An arm's range starts where it would start with full coverage, and only its end moves. So
        when coverage grows, ids are added but none changes its arm. Raise ValueError if the weights
        do not sum to 1.
        """
        _refuse_bad_shares(weights, coverage)
        return cls(tuple(weights), _ranges(list(weights.values()), coverage))

    def arm_at(self, bucket: int) -> str | None:
        """Return the key of the arm that has the bucket, or None if no arm has it."""
        index = choose_range(bucket / BUCKETS, self.ranges)
        return None if index is None else self.keys[index]

    def draw(self, unit_id: str, *, seed: str) -> str | None:
        """Return the key of the id's arm, or None if the id is not drawn."""
        return self.arm_at(bucket_of(unit_id, seed=seed))

    def draw_many(self, unit_ids: Sequence[str], *, seed: str) -> list[str | None]:
        """Return for each id the result of `draw`."""
        owners = np.array([self.arm_at(bucket) for bucket in range(BUCKETS)], dtype=object)
        drawn: list[str | None] = owners[bucket_of_many(unit_ids, seed=seed)].tolist()
        return drawn


def bucket_ranges(
    count: int, *, coverage: float = 1.0, weights: Sequence[float] | None = None
) -> tuple[Range, ...]:
    """Return the ranges of the specification's getBucketRange, which corrects bad arguments.

    Coverage is limited to 0..1. Weights become equal if their number is wrong or their sum is far
    from 1.
    """
    shares = equal_weights(count) if weights is None else list(weights)
    if len(shares) != count or abs(sum(shares) - 1) > _PUBLISHED_TOLERANCE:
        shares = equal_weights(count)
    return _ranges(shares, min(max(coverage, 0.0), 1.0))


def choose_range(share: float, ranges: Sequence[Range]) -> int | None:
    """Return the index of the first range that includes the share, or None."""
    return next((index for index, owned in enumerate(ranges) if share in owned), None)


def equal_weights(count: int) -> list[float]:
    """Return `count` equal weights, or an empty list for a count below 1."""
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
    # This form of the condition also refuses nan.
    if not all(0 <= weight <= 1 for weight in weights.values()):
        raise ValueError(f"Every weight must be from 0 to 1, not {_listed(weights)}.")
    if abs(sum(weights.values()) - 1) > _SUM_TOLERANCE:
        raise ValueError(f"The weights must add up to 1, not {_listed(weights)}.")
    if not 0 <= coverage <= 1:
        raise ValueError(f"Coverage must be from 0 to 1, not {coverage}.")


def _listed(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{key}={weight:g}" for key, weight in weights.items())
