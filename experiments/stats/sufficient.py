"""Sufficient statistics of an arm's outcomes: sums that add, so that parts can be merged."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import sqrt
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The values of an arm's outcomes in ascending order, each with the number of its occurrences.
Frequencies = tuple[tuple[float, int], ...]

# A spread this small relative to the mean is a rounding error.
_ROUNDING = 1e-12
# An arm below this size is small.
_SMALL_ARM = 200
# An arm is sparse if fewer of its outcomes than this differ from the commonest one, at any size.
_FEW_OTHERS = 50
# Frequencies are counted in arms up to this size, and kept for up to this many values.
_MOST_COUNTED = 20_000
_MOST_VALUES = 1_000


@dataclass(frozen=True)
class Counts:
    """The number of an arm's n units that had the outcome."""

    successes: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.n:
            raise ValueError(f"{self.successes} of {self.n} is not a count of successes.")

    def __add__(self, other: Self) -> "Counts":
        return Counts(self.successes + other.successes, self.n + other.n)

    @classmethod
    def from_array(cls, outcomes: ArrayLike) -> "Counts":
        """Return the counts of an array of zeros and ones. Raise ValueError for anything else."""
        values = np.asarray(outcomes)
        successes = int(np.count_nonzero(values == 1))
        if successes + int(np.count_nonzero(values == 0)) != values.size:
            raise ValueError("A binary outcome is 0 or 1.")
        return cls(successes, values.size)

    @property
    def rate(self) -> float:
        """Return the share of units with the outcome; nan for an empty arm."""
        return self.successes / self.n if self.n else float("nan")


@dataclass(frozen=True)
class Moments:
    """Number, mean and sum of squared deviations from the mean of an arm's outcomes.

    Plain squares would not do: the difference of two large sums loses all digits of a small spread
    around a large mean. `frequencies` is empty if they are not known or have too many values.
    """

    n: int
    mean: float
    deviations: float
    frequencies: Frequencies = field(default=(), repr=False)

    def __add__(self, other: Self) -> "Moments":
        # Chan, Golub and LeVeque (1983), The American Statistician 37:242.
        if not self.n or not other.n:
            return replace(self if self.n else other)
        n = self.n + other.n
        apart = other.mean - self.mean
        between = apart * apart * (self.n * other.n / n)
        mean = self.mean + apart * (other.n / n)
        moments = Moments(n, mean, self.deviations + other.deviations + between)
        if not self.frequencies or not other.frequencies:
            return moments
        return moments._with(Counter(dict(self.frequencies)) + Counter(dict(other.frequencies)))

    @classmethod
    def from_array(cls, outcomes: ArrayLike) -> "Moments":
        """Return the moments of an array of numbers. Raise ValueError for nan or infinity."""
        values = np.asarray(outcomes, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("An outcome must be a finite number.")
        if not values.size:
            return cls(0, 0.0, 0.0)
        mean = float(values.mean())
        moments = cls(values.size, mean, float(np.square(values - mean).sum()))
        return moments._with(_counted(values)) if _is_countable(values) else moments

    @classmethod
    def from_sums(
        cls,
        n: int,
        *,
        total: int | float | Fraction,
        squares: int | float | Fraction,
    ) -> "Moments":
        """Return the moments, computed exactly from the number, the sum and the sum of squares."""
        if not n:
            return cls(0, 0.0, 0.0)
        exact = Fraction(total)
        return cls(n, float(exact / n), max(float(Fraction(squares) - exact * exact / n), 0.0))

    @classmethod
    def from_frequencies(cls, frequencies: Iterable[tuple[float, int]]) -> "Moments":
        """Return the moments of outcomes given as pairs of a value and how often it occurs."""
        counted = Counter(dict(frequencies))
        total = sum(Fraction(value) * times for value, times in counted.items())
        squares = sum(Fraction(value) ** 2 * times for value, times in counted.items())
        return cls.from_sums(counted.total(), total=total, squares=squares)._with(counted)

    def _with(self, counted: "Counter[float]") -> "Moments":
        if len(counted) > _MOST_VALUES:
            return self
        return replace(self, frequencies=tuple(sorted(counted.items())))

    @property
    def is_thin(self) -> bool:
        """Return whether the arm is so small or sparse that its mean is not close to normal."""
        if not self.frequencies:
            return False
        commonest = max(times for _, times in self.frequencies)
        return self.n < _SMALL_ARM or self.n - commonest < _FEW_OTHERS

    @property
    def skewness(self) -> float:
        """Return the skewness of the outcomes, 0 if their values are not known or do not vary."""
        if not self.frequencies or not self.variance > 0:
            return 0.0
        spread = sqrt(self.deviations / self.n)
        scaled = (((value - self.mean) / spread, times) for value, times in self.frequencies)
        return sum(times * apart * apart * apart for apart, times in scaled) / self.n

    @property
    def variance(self) -> float:
        """Return the sample variance: nan below two outcomes, zero for a rounding error."""
        if self.n < 2:
            return float("nan")
        variance = self.deviations / (self.n - 1)
        return 0.0 if variance <= (_ROUNDING * self.mean) ** 2 else variance

    @property
    def average(self) -> float:
        """Return the mean; nan for an empty arm."""
        return self.mean if self.n else float("nan")


def _is_countable(values: NDArray[np.float64]) -> bool:
    """Return whether the arm is sparse, or small enough to count its values."""
    if values.size <= _MOST_COUNTED:
        return True
    # An outcome of more than half of the arm is also its median, which needs no full sort.
    middle = np.partition(values, values.size // 2)[values.size // 2]
    return bool(np.count_nonzero(values != middle) < _FEW_OTHERS)


def _counted(values: NDArray[np.float64]) -> "Counter[float]":
    found, times = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), times.tolist(), strict=True)))
