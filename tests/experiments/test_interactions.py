"""Whether an effect differs between two parts, beside statsmodels' model with an interaction."""

import numpy as np
import pytest
import statsmodels.api as sm

from experiments.stats.interactions import Part, as_moments, interaction
from experiments.stats.sufficient import Counts, Moments

CELLS = [
    [1.0, 2.0, 4.0, 4.0, 6.0],
    [2.0, 5.0, 6.0, 7.0],
    [0.0, 1.0, 1.0, 3.0, 9.0, 2.0],
    [4.0, 4.5, 8.0],
]


def parts(cells: list[list[float]]) -> tuple[Part, Part]:
    c1, t1, c2, t2 = map(Moments.from_array, cells)
    return Part(c1, t1), Part(c2, t2)


def test_value_and_error_are_those_of_a_saturated_model() -> None:
    found = interaction(*parts(CELLS))
    outcomes = np.concatenate(CELLS)
    is_other = np.repeat([0, 0, 1, 1], [len(cell) for cell in CELLS])
    is_treated = np.repeat([0, 1, 0, 1], [len(cell) for cell in CELLS])
    design = np.column_stack([np.ones(outcomes.size), is_other, is_treated, is_other * is_treated])
    # HC2 of a saturated model is the sum of s^2 / n over the cells.
    fitted = sm.OLS(outcomes, design).fit(cov_type="HC2")

    assert found.value == pytest.approx(fitted.params[3], abs=1e-9)
    assert found.standard_error == pytest.approx(fitted.bse[3], abs=1e-9)
    assert min(len(cell) for cell in CELLS) - 1 <= found.df <= outcomes.size - 4


def test_exchanged_parts_change_only_the_sign() -> None:
    one, other = parts(CELLS)
    there, back = interaction(one, other), interaction(other, one)

    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low)
    )
    assert back.p_value == pytest.approx(there.p_value)


def test_with_two_cells_of_one_value_it_is_welch() -> None:
    # Two cells without a spread add nothing, so the rest is Welch's test of the other two.
    flat = [[5.0, 5.0], [5.0, 5.0]]
    found = interaction(*parts([*flat, CELLS[0], CELLS[1]]))
    a, b = (np.var(cell, ddof=1) / len(cell) for cell in CELLS[:2])

    assert found.df == pytest.approx((a + b) ** 2 / (a**2 / 4 + b**2 / 3))


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([[1.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], "fewer than two learners"),
        ([[1.0, 1.0]] * 4, "no outcome varies"),
    ],
    ids=["one", "flat"],
)
def test_what_cannot_be_told_has_a_reason(cells: list[list[float]], reason: str) -> None:
    found = interaction(*parts(cells))

    assert not found.has_interval
    assert reason in found.reason


def test_rates_are_means_of_zeros_and_ones() -> None:
    assert as_moments(Counts(3, 10)).mean == pytest.approx(0.3)
    assert as_moments(Counts(3, 10)).variance == pytest.approx(0.3 * 0.7 * 10 / 9)
