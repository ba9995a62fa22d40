import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.randomize.arms import Arms

SHARES = st.floats(min_value=0, max_value=1)
WEIGHTS = st.lists(st.integers(1, 20), min_size=1, max_size=5).map(
    lambda parts: {f"arm{index}": part / sum(parts) for index, part in enumerate(parts)}
)


def test_draws_follow_the_weights() -> None:
    arms = Arms.of({"control": 0.2, "nudge": 0.5, "quiz": 0.3})
    drawn = arms.draw_many([f"learner-{number}" for number in range(50_000)], seed="s")

    assert drawn.count("control") == pytest.approx(10_000, abs=400)
    assert drawn.count("nudge") == pytest.approx(25_000, abs=500)
    assert drawn.count(None) == 0


# Drawn once by a program that implements only the published formula: half control, half nudge,
# coverage 0.8. They must never change.
GOLDEN_ARMS = "control control none nudge nudge none nudge control none none control none"


def test_golden_arms_never_change() -> None:
    arms = Arms.of({"control": 0.5, "nudge": 0.5}, coverage=0.8)
    ids = [f"learner-{number}" for number in range(12)]

    drawn = [arms.draw(unit_id, seed="golden") or "none" for unit_id in ids]
    assert " ".join(drawn) == GOLDEN_ARMS


@pytest.mark.slow
@given(WEIGHTS, st.text(max_size=10), st.lists(st.text(max_size=10), max_size=20), SHARES)
def test_bulk_draws_equal_single_ones(
    weights: dict[str, float], seed: str, ids: list[str], coverage: float
) -> None:
    arms = Arms.of(weights, coverage=coverage)

    assert arms.draw_many(ids, seed=seed) == [arms.draw(unit_id, seed=seed) for unit_id in ids]


@pytest.mark.slow
@given(WEIGHTS, SHARES, SHARES)
def test_nobody_changes_arm_when_coverage_grows(
    weights: dict[str, float], one: float, other: float
) -> None:
    before = Arms.of(weights, coverage=min(one, other))
    after = Arms.of(weights, coverage=max(one, other))

    for bucket in range(0, 10_000, 7):
        assert before.arm_at(bucket) in (None, after.arm_at(bucket))


@pytest.mark.slow
@given(WEIGHTS)
def test_full_coverage_draws_every_id(weights: dict[str, float]) -> None:
    arms = Arms.of(weights)

    assert None not in {arms.arm_at(bucket) for bucket in range(10_000)}


def test_no_coverage_draws_nobody() -> None:
    assert Arms.of({"control": 0.5, "nudge": 0.5}, coverage=0).draw("a", seed="s") is None


def test_an_arm_of_weight_zero_draws_nobody() -> None:
    arms = Arms.of({"control": 0.5, "paused": 0.0, "nudge": 0.5})

    assert "paused" not in {arms.arm_at(bucket) for bucket in range(10_000)}


@pytest.mark.parametrize(
    ("weights", "coverage", "sentence"),
    [
        ({}, 1, "at least one arm"),
        ({"control": 0.5, "nudge": 0.4}, 1, "must add up to 1, not control=0.5, nudge=0.4"),
        ({"control": 1.5, "nudge": -0.5}, 1, "from 0 to 1"),
        ({"control": float("nan")}, 1, "from 0 to 1"),
        ({"control": 1.0}, 1.1, "Coverage"),
        ({"control": 1.0}, float("nan"), "Coverage"),
    ],
    ids=["no arm", "sum below 1", "negative", "nan", "coverage above 1", "coverage nan"],
)
def test_bad_shares_are_refused(weights: dict[str, float], coverage: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Arms.of(weights, coverage=coverage)
