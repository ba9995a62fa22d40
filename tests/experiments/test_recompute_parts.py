"""Parts of the notebook against still plainer ways: every split of tiny arms, and likelihoods."""

from itertools import combinations
from math import inf

import numpy as np
import pytest
from scipy import optimize

from experiments.exports.notebook.means import DRAWS, permutation
from experiments.exports.notebook.rates import score_z
from experiments.exports.notebook.reading import Array

CONTROL = np.array([0.0, 0.0, 1.0, 2.0, 2.0, 5.0])
ARM = np.array([1.0, 3.0, 3.0, 4.0, 6.0, 6.0])


def share_as_extreme(control: Array, arm: Array, side: int) -> float:
    """Return the share of all splits whose arm has at least as large a total, or as small a one."""
    everybody = np.concatenate([control, arm])
    splits = combinations(range(everybody.size), arm.size)
    totals = np.array([everybody[list(split)].sum() for split in splits])
    return float((side * totals >= side * arm.sum() - 1e-9).mean())


def test_permutation_test_is_close_to_that_of_every_split() -> None:
    low, high, p = permutation(CONTROL, ARM, 0.95)

    exact = 2 * min(share_as_extreme(CONTROL, ARM, side) for side in (1, -1))
    # Four standard errors of the draws.
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact / DRAWS))
    # Just inside a limit the shifted arms are no surprise, and well outside they are.
    for end, side in ((low, 1), (high, -1)):
        for apart, is_inside in ((0.35, True), (-0.35, False)):
            shifted = ARM - (end + side * apart)
            assert (share_as_extreme(CONTROL, shifted, side) > 0.025) is is_inside


@pytest.mark.parametrize(
    "table", [(3, 12, 5, 12), (0, 9, 4, 11), (8, 11, 10, 10), (30, 100, 44, 120)]
)
@pytest.mark.parametrize("value", [-0.3, -0.02, 0.02, 0.4])
def test_score_is_that_of_the_likeliest_rates(
    table: tuple[int, int, int, int], value: float
) -> None:
    x0, n0, x1, n1 = table
    ends = max(0.0, -value), min(1.0, 1 - value)

    def unlikely(rate0: float) -> float:
        rates, seen = (rate0, rate0 + value), ((x0, n0), (x1, n1))
        parts = [
            times * np.log(rate) if rate > 0 else -inf
            for p, (x, n) in zip(rates, seen, strict=True)
            for rate, times in ((p, x), (1 - p, n - x))
            if times
        ]
        return -float(sum(parts))

    rate0 = float(optimize.minimize_scalar(unlikely, bounds=ends, method="bounded",
                                           options={"xatol": 1e-12}).x)  # fmt: skip
    rate1, n = rate0 + value, n0 + n1
    variance = (rate0 * (1 - rate0) / n0 + rate1 * (1 - rate1) / n1) * n / (n - 1)
    expected = (x1 / n1 - x0 / n0 - value) / np.sqrt(variance)

    found = float(score_z(table, np.array(x0), np.array(x1), value, is_ratio=False))
    assert found == pytest.approx(expected, rel=1e-5)
