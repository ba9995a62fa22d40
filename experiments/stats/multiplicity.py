"""Adjusted p-values for several outcomes or arms that are compared at once."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_Numbers = NDArray[np.float64]


def holm(p_values: Sequence[float], *, planned: int = 0) -> tuple[float, ...]:
    """Return p-values adjusted so that the chance of any false finding is kept, in their order.

    The i-th smallest of m is multiplied by m - i + 1. It holds for any dependence. A p-value of nan
    stays nan and is not counted, unless `planned` says that m is larger. Raise ValueError for a
    number outside 0 to 1. Holm (1979), Scandinavian Journal of Statistics 6:65.
    """

    def step_down(ascending: _Numbers) -> _Numbers:
        most = max(ascending.size, planned)
        factors = np.arange(most, most - ascending.size, -1)
        return np.maximum.accumulate(ascending * factors)

    return _adjusted(p_values, step_down)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted so that the share of false findings is kept, in their order.

    The share is the expected one. The i-th smallest of m is multiplied by m / i. It holds for
    independent and for positively dependent tests. A p-value of nan stays nan and is not counted.
    Raise ValueError for a number outside 0 to 1.
    Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57:289.
    """

    def step_up(ascending: _Numbers) -> _Numbers:
        factors = ascending.size / np.arange(1, ascending.size + 1)
        return np.minimum.accumulate((ascending * factors)[::-1])[::-1]

    return _adjusted(p_values, step_up)


def _adjusted(
    p_values: Sequence[float], adjust: Callable[[_Numbers], _Numbers]
) -> tuple[float, ...]:
    given = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(given))
    if ((given[known] < 0) | (given[known] > 1)).any():
        raise ValueError("A p-value lies between 0 and 1.")
    order = known[np.argsort(given[known], kind="stable")]
    adjusted = given.copy()
    adjusted[order] = np.minimum(adjust(given[order]), 1.0)
    return tuple(adjusted.tolist())
