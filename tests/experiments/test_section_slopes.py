"""Outcomes adjusted for the time before, compared with sections as the units."""

from collections.abc import Iterator

import numpy as np
import pytest
import statsmodels.api as sm

from experiments.stats.adjusted import Rows
from experiments.stats.by_section import checked_arms
from experiments.stats.comparison import ADJUSTED
from experiments.stats.section_slopes import adjusted_section_difference, section_residuals
from experiments.stats.sections import Section, section_difference
from experiments.stats.sufficient import Moments

Arms = tuple[list[Rows], list[Rows]]


def arms_of(numbers: tuple[int, int], *, seed: int = 4, slope: float = 2.0) -> Arms:
    """Return sections of 6 to 9 learners whose outcome follows what was before."""
    rng = np.random.default_rng(seed)

    def section() -> Rows:
        before = rng.normal(rng.normal(), 1, rng.integers(6, 10))
        return Rows(slope * before + rng.normal(rng.normal(), 1, before.size), {"before": before})

    control, treatment = ([section() for _ in range(number)] for number in numbers)
    return control, treatment


def columns(arms: Arms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the outcomes, the design and the section of all learners."""
    sections = [each for arm in arms for each in arm]
    of = np.repeat(np.arange(len(sections)), [each.outcomes.size for each in sections])
    treated = (of >= len(arms[0])).astype(float)
    before = np.concatenate([each.covariates["before"] for each in sections])
    design = np.column_stack([np.ones_like(treated), treated, before])
    return np.concatenate([each.outcomes for each in sections]), design, of


def test_it_is_the_regression_made_anew_without_each_section() -> None:
    arms = arms_of((4, 5))
    outcomes, design, of = columns(arms)

    def fit(kept: np.ndarray) -> float:
        return float(sm.OLS(outcomes[kept], design[kept]).fit().params[1])

    value = fit(of >= 0)
    changes = [fit(of != number) - value for number in range(9)]
    found = adjusted_section_difference(*arms)

    assert found.value == pytest.approx(value, rel=1e-9)
    assert found.standard_error == pytest.approx(np.sqrt(8 / 9 * np.square(changes).sum()))
    assert (found.method, found.note) == ("regression, CRV3, t of sections", "")


def plain_of(arms: Arms) -> Iterator[Section]:
    for is_treated, arm in enumerate(arms):
        for each in arm:
            yield Section(Moments.from_array(each.outcomes), bool(is_treated))


@pytest.mark.parametrize(
    ("numbers", "before", "note"),
    [
        ((3, 3), 7.0, "Nothing was adjusted for: before is left out"),
        ((3, 3), np.nan, "Nothing was adjusted for: before is left out"),
        ((2, 5), None, "Nothing was adjusted for: an arm has fewer than three sections."),
    ],
    ids=["constant", "missing", "few sections"],
)  # fmt: skip
def test_without_a_covariate_it_is_the_plain_comparison(
    numbers: tuple[int, int], before: float | None, note: str
) -> None:
    control, treatment = arms_of(numbers)
    if before is not None:
        control, treatment = (
            [Rows(each.outcomes, {"before": np.full(each.outcomes.size, before)}) for each in arm]
            for arm in (control, treatment)
        )
    found = adjusted_section_difference(control, treatment)
    expected = section_difference(plain_of((control, treatment))).difference

    assert (found.value, found.low, found.high, found.df) == pytest.approx(
        (expected.value, expected.low, expected.high, expected.df), rel=1e-9
    )
    assert found.method == expected.method
    assert found.note.startswith(note)


def test_gaps_get_the_mean_and_a_column_of_their_own() -> None:
    arms = arms_of((4, 4))
    for arm in arms:
        for each in arm:
            each.covariates["before"][0] = np.nan
    outcomes, design, _ = columns(arms)
    gap = np.isnan(design[:, 2])
    design[gap, 2] = design[~gap, 2].mean()

    fit = sm.OLS(outcomes, np.column_stack([design, gap.astype(float)])).fit()

    assert adjusted_section_difference(*arms).value == pytest.approx(fit.params[1], rel=1e-9)


def test_the_draws_are_of_residuals_that_no_draw_changes() -> None:
    control, treatment = arms_of((3, 4))
    of_draw = [each.mean for arm in section_residuals(control, treatment) for each in arm]
    swapped = section_residuals(treatment, control)

    assert [each.mean for arm in swapped[::-1] for each in arm] == pytest.approx(of_draw)
    strata = [[""] * 3, [""] * 4]
    checked = checked_arms(control, treatment, strata, family=ADJUSTED, level=0.95)
    assert checked.randomization is not None
    assert checked.randomization.draws == 35
    assert not checked.found.of_sections.has_interval


@pytest.mark.slow
def test_equal_arms_rarely_differ() -> None:
    found = [adjusted_section_difference(*arms_of((4, 4), seed=seed)) for seed in range(400)]

    # 5 % of 400 with four standard errors.
    assert 0.01 < np.mean([each.p_value < 0.05 for each in found]) < 0.094
