"""Shares by Thompson sampling: exact chances, beside a closed form and another integration."""

from math import exp

import numpy as np
import pytest
from scipy import integrate, special, stats

from experiments.randomize.thompson import adapted_shares, chances_to_be_best


def closed_form(control: tuple[int, int], arm: tuple[int, int]) -> float:
    """Return the chance that the arm is better: Miller (2015), Formulas for Bayesian A/B."""
    a, b = 1 + control[0], 1 + control[1] - control[0]
    c, d = 1 + arm[0], 1 + arm[1] - arm[0]
    return sum(
        exp(
            special.betaln(a + i, b + d) - np.log(d + i)
            - special.betaln(1 + i, d) - special.betaln(a, b)
        )
        for i in range(c)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("control", "arm"),
    [((0, 0), (0, 0)), ((3, 20), (9, 20)), ((9, 20), (3, 20)), ((0, 40), (0, 3)),
     ((500, 5000), (560, 5000)), ((0, 0), (40, 40))],
)  # fmt: skip
def test_two_arms_agree_with_the_closed_form(
    control: tuple[int, int], arm: tuple[int, int]
) -> None:
    found = chances_to_be_best([control, arm])

    assert found[1] == pytest.approx(closed_form(control, arm), abs=1e-10)


def test_three_arms_agree_with_adaptive_integration() -> None:
    counts = [(5, 20), (9, 20), (0, 1)]
    posteriors = [stats.beta(1 + seen, 1 + n - seen) for seen, n in counts]

    def best(x: float, arm: int) -> float:
        others = [each.cdf(x) for place, each in enumerate(posteriors) if place != arm]
        return float(posteriors[arm].pdf(x) * np.prod(others))

    expected = [integrate.quad(best, 0, 1, (arm,), epsabs=1e-12)[0] for arm in range(3)]
    assert chances_to_be_best(counts) == pytest.approx(expected, abs=1e-9)


def test_no_share_falls_below_the_floor_and_all_sum_to_one() -> None:
    counts = {"control": (0, 500), "nudge": (400, 500), "call": (390, 500)}
    shares = adapted_shares(counts, floor=0.1)

    assert shares["control"] == 0.1
    assert shares["nudge"] > shares["call"] > 0.1
    assert sum(round(each * 10_000) for each in shares.values()) == 10_000


def test_without_outcomes_the_shares_are_equal_and_fewer_may_be_better() -> None:
    assert adapted_shares({"a": (0, 0), "b": (0, 0)}, floor=0.2) == {"a": 0.5, "b": 0.5}
    counts = {"a": (1, 30), "b": (12, 30)}
    more, fewer = (adapted_shares(counts, floor=0.1, higher_is_better=each) for each in (1, 0))
    assert more["b"] == pytest.approx(fewer["a"])


def test_floors_must_leave_something() -> None:
    with pytest.raises(ValueError, match="4 arms cannot each have a share"):
        adapted_shares(dict.fromkeys("abcd", (0, 0)), floor=0.25)
