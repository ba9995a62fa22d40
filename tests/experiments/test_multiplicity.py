from collections.abc import Callable, Sequence
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from experiments.stats.multiplicity import benjamini_hochberg, holm
from tests.examples import examples

Adjust = Callable[[Sequence[float]], tuple[float, ...]]
BOTH = pytest.mark.parametrize(
    ("adjust", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")], ids=["holm", "bh"]
)

# Benjamini and Hochberg (1995), section 3.2: fifteen endpoints of a trial of rt-PA and APSAC.
PRINTED = (
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
    0.6528, 0.7590, 1.0000,
)  # fmt: skip
P_VALUES = st.lists(st.sampled_from([0.0, 1e-300, 0.001, 0.01, 0.01, 0.2, 0.5, 1.0, nan]))


def test_the_printed_numbers_of_rejections() -> None:
    # Benjamini and Hochberg (1995): their procedure rejects 4 at 5 %, Bonferroni's and Hochberg's
    # reject 3. Holm lies between Bonferroni and Hochberg.
    assert sum(p <= 0.05 for p in benjamini_hochberg(PRINTED)) == 4
    assert sum(p <= 0.05 for p in holm(PRINTED)) == 3
    # In the paper the fourth is the last with p <= .05 i / 15: .0095 <= .013.
    assert benjamini_hochberg(PRINTED)[3] == pytest.approx(0.0095 * 15 / 4)


@BOTH
def test_an_order_is_kept_and_nan_is_not_counted(adjust: Adjust, name: str) -> None:
    found = adjust([0.04, nan, 0.01, 0.02])

    assert isnan(found[1])
    assert (found[0], *found[2:]) == adjust([0.04, 0.01, 0.02])
    assert found[2] == pytest.approx(0.03)
    assert adjust([]) == ()
    assert isnan(adjust([nan])[0])
    assert adjust([0.3]) == (0.3,)


@BOTH
@pytest.mark.slow
@settings(max_examples=examples(50))
@given(p_values=P_VALUES)
def test_adjusted_equals_statsmodels(adjust: Adjust, name: str, p_values: list[float]) -> None:
    known = [p for p in p_values if not isnan(p)]
    found = adjust(p_values)

    assert [isnan(p) for p in found] == [isnan(p) for p in p_values]
    if known:
        expected = multipletests(known, method=name)[1]
        assert [p for p in found if not isnan(p)] == pytest.approx(expected, rel=1e-9)


@BOTH
@pytest.mark.slow
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_the_order_does_not_matter(
    adjust: Adjust, name: str, p_values: list[float], seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(p_values))
    found = adjust(p_values)

    assert adjust([p_values[i] for i in order]) == tuple(found[i] for i in order)
    assert all(given <= adjusted <= 1 for given, adjusted in zip(p_values, found, strict=True))


@BOTH
@pytest.mark.parametrize("p_value", [-0.1, 1.1, float("inf")])
def test_what_is_no_p_value_is_refused(adjust: Adjust, name: str, p_value: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjust([0.5, p_value])


def test_false_findings_are_kept() -> None:
    # 4,000 seeded draws of 10 true null hypotheses: any finding is a false one.
    draws = np.random.default_rng(20_250_901).uniform(size=(4000, 10))
    for adjust in (holm, benjamini_hochberg):
        assert 0.04 <= np.mean([min(adjust(draw)) <= 0.05 for draw in draws]) <= 0.06
