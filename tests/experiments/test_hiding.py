"""Sections and days of a file of rows single nobody out, whatever a reader knows of a learner."""

from collections import Counter
from datetime import date, timedelta
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.exports.hiding import Place, Shown, small_arms
from experiments.reporting.small_cells import FEWEST
from tests.examples import examples

DAY = date(2025, 11, 3)
PLACES = st.builds(
    Place,
    st.sampled_from(["control", "nudge"]),
    st.none() | st.integers(1, 4),
    st.integers(0, 2).map(lambda days: DAY + timedelta(days=days)),
    st.none() | st.integers(1, 3),
)
SIZES = st.dictionaries(PLACES, st.integers(1, 14), max_size=20)


@settings(max_examples=examples(40))
@given(SIZES)
def test_every_class_of_rows_has_five_learners_or_is_the_whole_arm(sizes: dict[Place, int]) -> None:
    shown = Shown.of(sizes)
    classes: Counter[tuple[str, ...]] = Counter()
    arms: Counter[str] = Counter()
    for place, size in sizes.items():
        arms[place.arm] += size
        # All that somebody could know beside the arm: any of the three.
        for which in product((True, False), repeat=3):
            known = (
                text if is_known else "?"
                for text, is_known in zip(shown.texts(place), which, strict=True)
            )
            classes[(place.arm, *known)] += size

    assert set(small_arms(sizes)) == {arm for arm, size in arms.items() if size < FEWEST}
    for (arm, *_), size in classes.items():
        assert size >= FEWEST or size == arms[arm], (arm, shown)


def test_sections_and_days_of_enough_learners_are_shown() -> None:
    sizes = {Place(arm, section, DAY): 5 for arm in ("control", "nudge") for section in (7, 9)}
    sizes[Place("control", 9, DAY)] = 6

    shown = Shown.of(sizes)

    # The larger section is the first.
    assert [shown.texts(place) for place in sizes] == [
        (number, "", "2025-11-03") for number in ("2", "1", "2", "1")
    ]  # fmt: skip


def test_a_small_section_is_hidden_together_with_another_one() -> None:
    # Hidden alone, the learners without a section would be the four of the small one.
    sizes = {Place("control", section, DAY): size for section, size in ((1, 4), (2, 6), (3, 9))}

    shown = Shown.of(sizes)

    assert [shown.texts(place)[0] for place in sizes] == ["", "", "1"]


def test_a_section_in_which_one_arm_is_small_is_hidden_in_both() -> None:
    sizes = {
        Place("control", 1, DAY): 20, Place("nudge", 1, DAY): 3,
        Place("control", 2, DAY): 20, Place("nudge", 2, DAY): 20,
        Place("control", None, DAY): 5, Place("nudge", None, DAY): 5,
    }  # fmt: skip

    shown = Shown.of(sizes)

    assert [shown.texts(place)[0] for place in sizes] == ["", "", "1", "1", "", ""]


def test_strata_have_one_number_in_all_sections_in_which_they_are_shown() -> None:
    sizes = {
        Place("control", 1, DAY, 8): 9, Place("control", 1, DAY, 9): 7,
        Place("control", 2, DAY, 9): 6, Place("control", 2, DAY, 8): 3,
        Place("control", 2, DAY): 1,
    }  # fmt: skip

    shown = Shown.of(sizes)

    # The second section cannot show its stratum of three, nor then the one of six.
    assert [shown.texts(place)[:2] for place in sizes] == [
        ("1", "2"), ("1", "1"), ("2", ""), ("2", ""), ("2", ""),
    ]  # fmt: skip
