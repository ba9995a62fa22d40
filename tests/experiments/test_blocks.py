from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from experiments.randomize.blocks import (
    LATER,
    PRESENT,
    Blocks,
    Place,
    by_size,
    draw_present,
    smallest_block,
)
from experiments.randomize.permutation import below, permuted, random_words
from tests.examples import examples

HALVES = {"control": 0.5, "nudge": 0.5}


def letters(arms: list[str]) -> str:
    return "".join(arm[0] for arm in arms)


def test_golden_draws_never_change() -> None:
    # A started experiment replays its draws with these. If this test fails, mend the code.
    # printf '["golden",1,0]' | sha256sum begins with 1d00ae7e.
    blocks = Blocks.of(HALVES, seed="golden", multiples=(1, 2))
    uneven = Blocks.of({"a": 0.2, "b": 0.5, "c": 0.3}, seed="golden")

    assert list(islice(random_words("golden", 1), 3)) == [486583934, 2298956084, 935462860]
    orders = " ".join(letters(blocks.block("[]", number)) for number in range(6))
    assert orders == "nncc cn nc nc ccnn cnnc"
    assert letters(uneven.block('["Wales",2]', 0)) == "bbccbcabba"


@pytest.mark.parametrize(
    ("weights", "block"),
    [
        (HALVES, {"control": 1, "nudge": 1}),
        ({"a": 0.3333, "b": 0.3333, "c": 0.3334}, {"a": 1, "b": 1, "c": 1}),
        ({"a": 0.25, "b": 0.75}, {"a": 1, "b": 3}),
        ({"a": 0.15, "b": 0.85}, {"a": 3, "b": 17}),
        ({"a": 0.5, "b": 0.5, "c": 0}, {"a": 1, "b": 1, "c": 0}),
        ({"a": 0.3, "b": 0.7}, {"a": 3, "b": 7}),
    ],
)
def test_a_block_is_the_smallest_that_has_the_weights(
    weights: dict[str, float], block: dict[str, int]
) -> None:
    assert smallest_block(weights) == block


@pytest.mark.parametrize("weights", [{"a": 0.013, "b": 0.987}, {"a": 0.0001, "b": 0.9999}])
def test_weights_without_a_block_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="No block of at most 60 learners"):
        smallest_block(weights)


@settings(max_examples=examples(30))
@given(st.text(max_size=8), st.text(max_size=8), st.integers(0, 40), st.integers(1, 9))
def test_drawing_in_any_portions_gives_the_same_arms(
    seed: str, stratum: str, total: int, portion: int
) -> None:
    blocks = Blocks.of({"a": 0.25, "b": 0.75}, seed=seed, multiples=(1, 2, 3))
    at_once = [arm for arm, _ in islice(blocks.arms_from(stratum, Place()), total)]

    place, drawn = Place(), []
    while len(drawn) < total:
        for arm, after in islice(blocks.arms_from(stratum, place), portion):
            drawn.append(arm)
            place = after

    assert drawn[:total] == at_once


@settings(max_examples=examples(30))
@given(st.text(max_size=8), st.integers(1, 60))
def test_every_complete_block_is_balanced(seed: str, number: int) -> None:
    blocks = Blocks.of({"a": 0.2, "b": 0.5, "c": 0.3}, seed=seed, multiples=(1, 2))
    found = blocks.block("s", number)

    assert Counter(found) in ({"a": 2, "b": 5, "c": 3}, {"a": 4, "b": 10, "c": 6})


def test_each_order_of_a_block_is_equally_likely() -> None:
    blocks = Blocks(("a", "b", "c"), "seed")
    found = Counter(letters(blocks.block("s", number)) for number in range(6000))

    assert len(found) == 6
    assert chisquare(list(found.values())).pvalue > 0.001


def test_the_size_of_the_next_block_is_drawn_too() -> None:
    blocks = Blocks.of(HALVES, seed="seed", multiples=(1, 2))
    sizes = Counter(len(blocks.block("s", number)) for number in range(2000))

    assert sizes.keys() == {2, 4}
    assert chisquare(list(sizes.values())).pvalue > 0.001


def test_strata_and_seeds_have_orders_of_their_own() -> None:
    def orders(seed: str, stratum: str) -> str:
        blocks = Blocks.of(HALVES, seed=seed)
        return "".join(letters(blocks.block(stratum, number)) for number in range(30))

    assert len({orders("s", "1"), orders("s", "2"), orders("t", "1"), orders("t", "2")}) == 4


def test_numbers_below_a_limit_are_fair() -> None:
    # Without the rejection, 2**32 - 1 would be taken as 0 of 3.
    assert below(3, iter([2**32 - 1, 2**32 - 2])) == (2**32 - 2) % 3
    assert below(1, iter([7])) == 0
    assert sorted(permuted("abcd", random_words("k"))) == list("abcd")


def test_sections_are_paired_by_size() -> None:
    sizes = {"a": 10, "b": 31, "c": 30, "d": 11, "e": 20, "f": 21, "g": 5}
    assert by_size(sizes) == ["b", "c", "f", "e", "d", "a", "g"]
    assert by_size({"b": 3, "a": 3}) == ["a", "b"]

    for number in range(20):
        drawn = draw_present(sizes, Blocks.of(HALVES, seed=f"seed {number}"))
        arms = dict(drawn)
        assert list(arms) == by_size(sizes)
        for pair in ("bc", "fe", "da"):
            assert {arms[section] for section in pair} == {"control", "nudge"}


def test_each_position_has_the_number_of_its_block() -> None:
    blocks = Blocks.of({"a": 0.5, "b": 0.5}, seed="s", multiples=(1, 2))
    sizes = [len(blocks.block(LATER, number)) for number in range(6)]

    found = list(islice(blocks.of_sections(LATER).numbers(LATER), sum(sizes)))

    assert {2, 4} == set(sizes)
    assert [found.count(number) for number in range(6)] == sizes
    assert found == sorted(found)
    # The present sections are drawn in pairs.
    assert list(islice(blocks.of_sections(PRESENT).numbers(PRESENT), 5)) == [0, 0, 1, 1, 2]
