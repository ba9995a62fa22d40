from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.design import Covariate
from experiments.randomize.strata import quantile_cuts, stratum_key

REGION, AGE = Covariate("region"), Covariate("age", parts=3, cuts=(20.0, 30.0))


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"region": "Wales", "age": 20}, '["Wales",1]'),
        ({"region": "Wales", "age": 20.5}, '["Wales",2]'),
        ({"region": "Wales", "age": 30}, '["Wales",2]'),
        ({"region": "Wales", "age": 31}, '["Wales",3]'),
        ({"region": 3, "age": "old"}, "[3,null]"),
        ({"region": 3.0, "age": True}, "[3,null]"),
        ({"region": ["Wales"], "age": nan}, '[["Wales"],null]'),
        ({"region": True}, "[true,null]"),
        ({"region": "null"}, '["null",null]'),
        ({}, "[null,null]"),
    ],
    ids=str,
)
def test_a_stratum_is_named_by_its_values(values: dict[str, object], key: str) -> None:
    assert stratum_key([REGION, AGE], values) == key


def test_without_covariates_there_is_one_stratum() -> None:
    assert stratum_key([], {"region": "Wales"}) == "[]"


def test_a_very_long_category_is_named_by_its_digest() -> None:
    long, other = ("x" * 5000, "x" * 5001)
    keys = {stratum_key([REGION], {"region": value}) for value in (long, other)}

    assert [len(key) for key in keys] == [64, 64]


@pytest.mark.parametrize(
    ("values", "parts", "cuts"),
    [
        ([1, 2, 3, 4], 2, (2,)),
        ([4, 3, 2, 1, 5], 2, (3,)),
        ([1, 2, 3, 4, 5, 6], 3, (2, 4)),
        ([0, 0, 0, 0, 0, 7], 3, (0,)),
        ([5, 5, 5], 4, ()),
        ([nan, 1, 2], 2, (1,)),
        ([], 3, ()),
        ([1], 2, ()),
    ],
    ids=str,
)
def test_cuts_are_values_that_part_the_learners(
    values: list[float], parts: int, cuts: tuple[float, ...]
) -> None:
    assert quantile_cuts(values, parts=parts) == cuts


@given(st.lists(st.floats(-100, 100), min_size=1, unique=True), st.integers(2, 10))
def test_parts_of_different_values_have_about_the_same_size(
    values: list[float], parts: int
) -> None:
    cuts = quantile_cuts(values, parts=parts)
    covariate = Covariate("x", parts=parts, cuts=cuts)
    keys = [stratum_key([covariate], {"x": value}) for value in values]
    sizes = [keys.count(key) for key in set(keys)]

    assert len(sizes) == len(cuts) + 1 <= parts
    assert max(sizes) - min(sizes) <= 1
