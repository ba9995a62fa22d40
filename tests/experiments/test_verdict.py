import pytest

from experiments.stats.balance import sample_ratio
from experiments.stats.comparison import Comparison, Outcomes, compare, compare_arms
from experiments.stats.figures import Figures, level_text, p_text, percent_change
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.verdict import Finding, Verdict, balance_text, verdict


def said(control: Outcomes, treatment: Outcomes, outcome: str = "of learners did") -> Verdict:
    found = Comparison("nudge", "control", treatment, control, *compare(control, treatment))
    return verdict(found, outcome=outcome)


def test_a_difference_that_was_shown_is_told_with_its_interval() -> None:
    found = said(Counts(2262, 21306), Counts(3894, 21307))

    assert found.finding == Finding.HIGHER
    assert found.text == (
        "18.3% of learners did in nudge, against 10.6% in control: 7.7 points more "
        "(95% interval +7.0 to +8.3; p < 0.001). Chance alone would rarely make so large a "
        "difference."
    )


def test_a_null_says_what_was_ruled_out() -> None:
    found = said(Counts(193, 346), Counts(205, 337))

    assert found.finding == Finding.NOT_FOUND
    assert found.text == (
        "60.8% of learners did in nudge, against 55.8% in control. No difference was found "
        "(p = 0.181). Ruled out, with 95% confidence: a rise of more than 12.4 points and a fall "
        "of more than 2.4 points. Whatever lies between, no effect included, is possible."
    )


def test_a_lower_mean_is_told_in_its_own_unit() -> None:
    control = Moments.from_sums(3461, total=2422.7, squares=134698.29)
    treatment = Moments.from_sums(3407, total=1396.87, squares=52377.9767)
    found = said(control, treatment, "attempts a learner")

    assert found.finding == Finding.LOWER
    assert found.text.startswith(
        "0.41 attempts a learner in nudge, against 0.70 in control: 0.29 less "
        "(95% interval -0.53 to -0.05; p = 0.020)."
    )


def test_an_empty_arm_is_said_to_be_empty() -> None:
    found = said(Counts(3, 9), Counts(0, 0))

    assert found.finding == Finding.UNKNOWN
    assert found.text == ("Nothing can be said about nudge yet: nobody is counted in this arm yet.")


def test_a_difference_without_spread_is_not_called_an_effect() -> None:
    found = said(Moments.from_array([1, 1]), Moments.from_array([2, 2]), "attempts")

    assert found.finding == Finding.UNKNOWN
    assert found.text == (
        "2.00 attempts in nudge, against 1.00 in control. Whether that is more than chance cannot "
        "be said: no outcome varies within either arm, so chance cannot be told from effect."
    )


def test_arm_sizes_are_told_in_words() -> None:
    assert "about as large as planned (p = 0.339)" in balance_text(
        sample_ratio([700, 320], [0.7, 0.3])
    )
    assert "do not trust the results" in balance_text(sample_ratio([900, 700], [1, 1]))
    assert "nobody is assigned yet" in balance_text(sample_ratio([0, 0], [1, 1]))


def test_every_arm_is_compared_with_the_control_in_order() -> None:
    found = compare_arms(
        {"b": Counts(3, 9), "control": Counts(2, 9), "a": Counts(4, 9)}, control="control"
    )

    assert [(each.arm, each.control) for each in found] == [("b", "control"), ("a", "control")]


def test_a_rate_is_not_compared_with_a_mean() -> None:
    with pytest.raises(TypeError, match="cannot be compared"):
        compare(Counts(1, 2), Moments.from_array([1, 2]))


def test_digits_follow_the_interval_and_never_hide_a_sign() -> None:
    control, treatment = Counts(48_000, 1_000_000), Counts(49_300, 1_000_000)
    difference, _ = compare(control, treatment)
    figures = Figures.of(difference, is_rate=True)

    assert figures.change(difference.value) == "+0.13"
    assert figures.change(0.0000001) == "+0.00"
    assert figures.change(float("nan")) == "-"


def test_an_interval_just_above_zero_is_not_written_as_zero() -> None:
    difference, _ = compare(Counts(100, 200), Counts(120, 202))
    narrow = Figures.of(difference, is_rate=True)
    nearly = type(difference)(0.05, 0.0002, 0.0998, 0.049, 0.95, "m", "t")

    assert narrow.decimals == 1
    assert Figures.of(nearly, is_rate=True).change(nearly.low) == "+0.02"


def test_numbers_that_are_not_known_are_dashes() -> None:
    unknown = float("nan")

    assert (p_text(unknown), percent_change(unknown)) == ("p not known", "-")
    assert (p_text(0.0000001), p_text(0.04)) == ("p < 0.001", "p = 0.040")
    assert (percent_change(0.1234), level_text(0.95), level_text(0.999)) == (
        "+12.3%", "95%", "99.9%",
    )  # fmt: skip
