"""Sums of several numbers per unit, such as passed and scored attempts, that add."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.stats.sufficient import Moments

# Squares of larger numbers would overflow.
LARGEST = 1e100
# If the parts of a combination cancel up to this share, the rest is a rounding error.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class JointMoments:
    """Number of units, mean of each column, and sums of products of deviations from the means.

    `codeviations[i][j]` is the sum of (column i - its mean) * (column j - its mean). As in
    `Moments`, plain products would lose all digits of a small spread around a large mean.
    """

    n: int
    means: tuple[float, ...]
    codeviations: tuple[tuple[float, ...], ...]

    def __add__(self, other: Self) -> "JointMoments":
        # Chan, Golub and LeVeque (1983), The American Statistician 37:242, for each product.
        if len(self.means) != len(other.means):
            raise ValueError("Sums of different numbers of columns do not add.")
        if not self.n or not other.n:
            whole = self if self.n else other
            return JointMoments(whole.n, whole.means, whole.codeviations)
        n = self.n + other.n
        apart = np.subtract(other.means, self.means)
        between = np.outer(apart, apart) * (self.n * other.n / n)
        within = np.add(self.codeviations, other.codeviations)
        return _joint(n, np.add(self.means, apart * (other.n / n)), within + between)

    @classmethod
    def from_columns(cls, *columns: ArrayLike) -> "JointMoments":
        """Return the sums of columns of one length, with a number per unit in each.

        Raise ValueError for nan, for numbers beyond 1e100, and for columns of different lengths.
        """
        values = [np.asarray(column, dtype=np.float64) for column in columns]
        if len({column.size for column in values}) != 1:
            raise ValueError("The columns have one number per unit.")
        rows = np.stack(values)
        if not (np.abs(rows) <= LARGEST).all():
            raise ValueError("An outcome must be a number of at most 1e100.")
        if not rows.shape[1]:
            return _joint(0, np.zeros(len(rows)), np.zeros((len(rows), len(rows))))
        means = rows.mean(axis=1)
        apart = rows - means[:, None]
        return _joint(rows.shape[1], means, apart @ apart.T)

    @classmethod
    def from_frequencies(cls, frequencies: Mapping[tuple[int, ...], int]) -> "JointMoments":
        """Return the sums of units given as their numbers, with how often each row occurs.

        The numbers are whole, so the result is exact. There is at least one column.
        """
        rows = list(frequencies.items()) or [((0, 0), 0)]
        places = range(len(rows[0][0]))
        totals = [sum(row[i] * times for row, times in rows) for i in places]
        products = [
            [sum(row[i] * row[j] * times for row, times in rows) for j in places] for i in places
        ]
        return cls.from_sums(sum(times for _, times in rows), totals=totals, products=products)

    @classmethod
    def from_sums(
        cls,
        n: int,
        *,
        totals: Sequence[int | float | Fraction],
        products: Sequence[Sequence[int | float | Fraction]],
    ) -> "JointMoments":
        """Return the sums, computed exactly from the columns' totals and sums of products."""
        exact = [Fraction(total) for total in totals]
        rows = zip(exact, products, strict=True)
        return cls(
            n,
            tuple(float(total / max(n, 1)) for total in exact),
            tuple(
                tuple(
                    float(Fraction(product) - one * other / max(n, 1))
                    for other, product in zip(exact, row, strict=True)
                )
                for one, row in rows
            ),
        )

    def combined(self, *weights: float) -> Moments:
        """Return the moments of the sum over the columns of weight times column."""
        mean = sum(weight * mean for weight, mean in zip(weights, self.means, strict=True))
        scale = np.asarray(weights)
        # With weights of extreme sizes the result is nan or infinite, for the caller to explain.
        with np.errstate(over="ignore", invalid="ignore"):
            parts = np.asarray(self.codeviations) * scale * scale[:, None]
            deviations, size = float(parts.sum()), float(np.diagonal(parts).sum())
        is_rounding = deviations <= _ROUNDING * size < inf
        return Moments(self.n, float(mean), 0.0 if is_rounding else deviations)

    def mapped(self, *rows: Sequence[float]) -> "JointMoments":
        """Return the sums of new columns. Each row has the weights of the old columns in one."""
        weights = np.array(rows)
        return _joint(self.n, weights @ self.means, weights @ self.codeviations @ weights.T)

    def columns(self, *numbers: int) -> "JointMoments":
        """Return the sums of some of the columns, counted from 0."""
        return JointMoments(
            self.n,
            tuple(self.means[one] for one in numbers),
            tuple(tuple(self.codeviations[one][other] for other in numbers) for one in numbers),
        )

    def column(self, number: int) -> Moments:
        """Return the moments of one column, counted from 0."""
        return Moments(self.n, self.means[number], self.codeviations[number][number])


def _joint(n: int, means: NDArray[np.float64], products: NDArray[np.float64]) -> JointMoments:
    return JointMoments(n, tuple(means.tolist()), tuple(map(tuple, products.tolist())))
