from dataclasses import replace

import numpy as np
import pytest

from experiments.reporting.figures import Figures, level_text, p_text, percent_change
from experiments.reporting.verdict import Finding, Verdict, balance_text, verdict
from experiments.stats.balance import sample_ratio
from experiments.stats.comparison import RATES, Comparison, compare_arms
from experiments.stats.estimate import Estimate
from experiments.stats.sufficient import Counts, Moments
from tests.experiments.factories import Outcomes, family_of


def verdict_of(control: Outcomes, treatment: Outcomes, outcome: str = "of learners did") -> Verdict:
    found = comparison_of(control, treatment)
    return verdict(found, outcome=outcome, figures=Figures.of([found]))


def comparison_of(control: Outcomes, treatment: Outcomes) -> Comparison:
    arms = {"control": control, "nudge": treatment}
    (found,) = compare_arms(arms, family=family_of(control), control="control")
    return found


def test_a_difference_is_shown_with_its_interval() -> None:
    found = verdict_of(Counts(2262, 21306), Counts(3894, 21307))

    assert found.finding == Finding.HIGHER
    assert found.text == (
        "18.3% of learners did in nudge, against 10.6% in control: 7.7 points more "
        "(95% interval +6.9 to +8.4; p < 0.001). Chance alone would rarely make so large a "
        "difference."
    )


def test_a_null_result_states_the_range_ruled_out() -> None:
    found = verdict_of(Counts(193, 346), Counts(205, 337))

    assert found.finding == Finding.NOT_FOUND
    assert found.text == (
        "60.83% of learners did in nudge, against 55.78% in control. No difference was found "
        "(p = 0.181). Ruled out, with 95% confidence: a rise of more than 12.40 points and a fall "
        "of more than 2.36 points. Any effect in between is possible, also none."
    )


def test_a_lower_mean_is_written_in_its_own_unit() -> None:
    control = Moments.from_sums(3461, total=2422.7, squares=134698.29)
    treatment = Moments.from_sums(3407, total=1396.87, squares=52377.9767)
    found = verdict_of(control, treatment, "attempts per learner")

    assert found.finding == Finding.LOWER
    assert found.text.startswith(
        "0.41 attempts per learner in nudge, against 0.70 in control: 0.29 less "
        "(95% interval -0.54 to -0.04; p = 0.020)."
    )


def test_an_empty_arm_is_reported_as_empty() -> None:
    found = verdict_of(Counts(3, 9), Counts(0, 0))

    assert found.finding == Finding.UNKNOWN
    assert found.text == (
        "Nothing can be said about nudge yet: no learner of this arm is counted yet."
    )


def test_a_difference_without_spread_is_not_called_an_effect() -> None:
    found = verdict_of(Moments.from_array([1, 1]), Moments.from_array([2, 2]), "attempts")

    assert found.finding == Finding.UNKNOWN
    assert found.text == (
        "2.00 attempts in nudge, against 1.00 in control. It is not known whether this is more "
        "than chance: no outcome varies within either arm, so chance cannot be told from an effect."
    )


def test_arm_sizes_are_described_in_a_sentence() -> None:
    assert "about as large as intended (p = 0.339)" in balance_text(
        sample_ratio([700, 320], [0.7, 0.3])
    )
    assert "Do not trust the results" in balance_text(sample_ratio([900, 700], [1, 1]))
    assert "no learner is assigned yet" in balance_text(sample_ratio([0, 0], [1, 1]))


def test_every_arm_is_compared_with_the_control_in_order() -> None:
    found = compare_arms(
        {"b": Counts(3, 9), "control": Counts(2, 9), "a": Counts(4, 9)},
        family=RATES,
        control="control",
    )

    assert [(each.arm, each.control) for each in found] == [("b", "control"), ("a", "control")]


def test_digits_follow_the_interval_and_never_hide_a_sign() -> None:
    found = comparison_of(Counts(48_000, 1_000_000), Counts(49_300, 1_000_000))
    figures = Figures.of([found])

    assert figures.change(found.difference.value) == "+0.13"
    assert figures.change(0.0000001) == "+0.00"
    assert figures.change(float("nan")) == "-"


def test_an_interval_just_above_zero_is_not_written_as_zero() -> None:
    found = comparison_of(Counts(100, 200), Counts(120, 202))
    nearly = Estimate(found.difference.value, 0.0002, 0.0998, 0.049, 0.95, "m", "t")

    assert Figures.of([found]).decimals == 1
    assert Figures.of([replace(found, difference=nearly)]).interval(nearly) == "+0.02 to +9.98"


@pytest.mark.slow
def test_the_numbers_of_one_line_add_up() -> None:
    rng = np.random.default_rng(3)
    nearest = 0
    for _ in range(400):
        n = rng.integers(150, 900, 2)
        control, arm = (Counts(int(rng.integers(0, size + 1)), int(size)) for size in n)
        found = comparison_of(control, arm)
        figures = Figures.of([found])
        levels = [round(float(figures.level(each.rate).rstrip("%")), 6) for each in (arm, control)]
        written = float(figures.change(figures.apart(found)))
        assert levels[0] - levels[1] == pytest.approx(written, abs=1e-9)
        assert written == pytest.approx(found.difference.value * 100, abs=10**-figures.decimals)
        nearest += figures.change(found.difference.value) == figures.change(figures.apart(found))
    # One decimal more is tried. Where it does not help either, the line adds up all the same.
    assert 360 < nearest < 400


def test_thirds_are_not_written_with_many_decimals() -> None:
    figures = Figures.of([comparison_of(Counts(17, 150), Counts(22, 150))])

    assert (figures.level(22 / 150), figures.level(17 / 150)) == ("14.7%", "11.3%")


def test_no_printed_limit_lies_inside_its_interval() -> None:
    rng = np.random.default_rng(4)
    for _ in range(400):
        n = int(rng.integers(20, 300))
        control, arm = (
            Moments.from_sums(n, total=t, squares=5 * t) for t in rng.integers(n, 2 * n, 2)
        )
        found = comparison_of(control, arm)
        low, high = map(float, Figures.of([found]).interval(found.difference).split(" to "))
        assert low <= found.difference.low + 1e-9
        assert high >= found.difference.high - 1e-9


def test_numbers_that_are_not_known_are_dashes() -> None:
    unknown = float("nan")

    assert (p_text(unknown), percent_change(unknown)) == ("p not known", "-")
    assert (p_text(0.0000001), p_text(0.04)) == ("p < 0.001", "p = 0.040")
    assert (percent_change(0.1234), level_text(0.95), level_text(0.999)) == (
        "+12.3%", "95%", "99.9%",
    )  # fmt: skip
