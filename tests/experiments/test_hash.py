import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.randomize.arms import (
    Range,
    bucket_ranges,
    choose_range,
    equal_weights,
    in_namespace,
)
from experiments.randomize.hash import (
    _decimal_hashes,
    bucket_of,
    bucket_of_many,
    fnv1a32,
    hash_share,
)

# Any code points, including lone surrogates and characters of two code units.
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)


@pytest.fixture(scope="module")
def published(shared_data: Path) -> dict[str, Any]:
    # GrowthBook SDK specification 5.
    path = shared_data / "standards" / "growthbook_hash_cases.json"
    cases: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return cases


def share_or_none(value: str, seed: str, version: int) -> float | None:
    try:
        return hash_share(value, seed=seed, version=version)
    except ValueError:
        return None


def test_hash_gives_every_published_value(published: dict[str, Any]) -> None:
    cases = published["hash"]

    found = [share_or_none(value, seed, version) for seed, value, version, _ in cases]

    assert found == [share for *_, share in cases]
    assert len(cases) == 15
    assert found[-1] is None  # an unknown version has no hash


def test_bucket_ranges_are_the_published_ones(published: dict[str, Any]) -> None:
    cases = published["getBucketRange"]
    assert len(cases) == 13
    for name, (count, coverage, weights), expected in cases:
        ranges = bucket_ranges(count, coverage=coverage, weights=weights)

        found = [edge for owned in ranges for edge in (owned.start, owned.end)]
        assert found == pytest.approx([edge for pair in expected for edge in pair], abs=1e-9), name


def test_choose_range_makes_the_published_choices(published: dict[str, Any]) -> None:
    cases = published["chooseVariation"]
    assert len(cases) == 13
    for name, share, pairs, expected in cases:
        index = choose_range(share, [Range(*pair) for pair in pairs])

        assert (-1 if index is None else index) == expected, name


def test_namespaces_include_the_published_ids(published: dict[str, Any]) -> None:
    cases = published["inNamespace"]
    assert len(cases) == 16
    for name, unit_id, (namespace, start, end), expected in cases:
        found = in_namespace(unit_id, namespace=namespace, owned=Range(start, end))

        assert found is expected, name


def test_equal_weights_are_the_published_ones(published: dict[str, Any]) -> None:
    cases = published["getEqualWeights"]
    assert len(cases) == 6
    for count, expected in cases:
        assert equal_weights(count) == pytest.approx(expected, abs=1e-8), count


# These draws must never change: running experiments depend on them.
GOLDEN = {
    "": 2242,
    "7b0f3f0e-5d3c-4c8e-9a53-0d5d2c1b7f11": 7204,
    "00000000-0000-0000-0000-000000000000": 9038,
    "oulad-11391": 1766,
    "café": 7432,
    "\U0001d49cna": 8245,
    "\ud835": 771,
}


@pytest.mark.parametrize(("unit_id", "bucket"), GOLDEN.items(), ids=map(ascii, GOLDEN))
def test_golden_draws_never_change(unit_id: str, bucket: int) -> None:
    assert bucket_of(unit_id, seed="golden") == bucket


def test_golden_draws_never_change_in_bulk() -> None:
    assert bucket_of_many(list(GOLDEN), seed="golden").tolist() == list(GOLDEN.values())


def test_hash_reads_code_units_not_code_points_or_bytes() -> None:
    # U+1D49C is the two code units D835 DC9C.
    def by_hand(units: list[int]) -> int:
        value = 2166136261
        for unit in units:
            value = (value ^ unit) * 16777619 % 2**32
        return value

    assert fnv1a32("\U0001d49c") == by_hand([0xD835, 0xDC9C])
    assert fnv1a32("\U0001d49c") != by_hand([0x1D49C])
    assert fnv1a32("é") != by_hand(list("é".encode()))


@given(st.lists(ANY_TEXT, max_size=30), ANY_TEXT)
def test_bulk_buckets_equal_single_ones(unit_ids: list[str], seed: str) -> None:
    found = bucket_of_many(unit_ids, seed=seed)

    assert found.tolist() == [bucket_of(unit_id, seed=seed) for unit_id in unit_ids]


@pytest.mark.slow
def test_bulk_buckets_equal_single_ones_across_chunks() -> None:
    unit_ids = [f"learner-{number}" for number in range(40_000)]

    found = bucket_of_many(unit_ids, seed="s")

    assert found.tolist() == [bucket_of(unit_id, seed="s") for unit_id in unit_ids]


def test_buckets_are_spread_evenly() -> None:
    found = bucket_of_many([f"learner-{number}" for number in range(100_000)], seed="even")

    counts = [int(((found >= low) & (found < low + 1000)).sum()) for low in range(0, 10_000, 1000)]
    # Nine degrees of freedom: 27.9 is the 0.1 % point of chi-square.
    assert sum((count - 10_000) ** 2 / 10_000 for count in counts) < 27.9


def test_hashes_of_numbers_are_those_of_their_texts_at_each_number_of_digits() -> None:
    edges = [0, 1, 9, 10, 99_999, 100_000, 100_001, 999_999, 1_000_000, 2**31, 2**32 - 1]
    near = [each + step for each in edges for step in (-1, 0, 1) if 0 <= each + step < 2**32]

    found = _decimal_hashes(np.array(near, dtype=np.uint32))

    assert found.tolist() == [fnv1a32(str(each)) for each in near]
