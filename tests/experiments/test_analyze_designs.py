"""Analyses of files with weights, units, covariates, sections, ratios, times and caps."""

import json
import random
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from django.core.management import CommandError, call_command

from experiments.stats.multiplicity import holm
from experiments.terminal.columns import read_columns
from experiments.terminal.tables import open_table


def text_of(folder: Path, table: str, *args: str) -> str:
    path, out = folder / "outcomes.csv", StringIO()
    path.write_text(table, encoding="utf-8")
    call_command("analyze_csv", path, "--arm=arm", "--control=control", *args, stdout=out)
    return out.getvalue()


def analyze(folder: Path, table: str, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(folder, table, *args, "--json"))
    return found


def compared(found: dict[str, Any], number: int = 0) -> dict[str, Any]:
    comparison: dict[str, Any] = found["metrics"][number]["comparisons"][0]
    return comparison


def table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows, ""])


def random_rows(count: int, *, seed: int = 1) -> list[tuple[str, float, float]]:
    """Return rows of an arm, an outcome and a covariate that is related to it."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        before = rng.gauss(0, 1)
        rows.append((("control", "nudge")[number % 2], 2 * before + rng.gauss(5, 1), before))
    return rows


PLANNED = ("--weights", "control=1,nudge=3")


@pytest.mark.parametrize("weights", ["control=1,nudge=3", "control=.225,nudge=.675"])
def test_arms_are_tested_against_the_planned_weights(tmp_path: Path, weights: str) -> None:
    # Case E5. The second weights sum to .9: only their ratio counts.
    rows = table("arm,done", *["control,1"] * 249, *["nudge,1"] * 749)
    ratio = analyze(tmp_path, rows, "--metric=done", "--weights", weights)["sample_ratio"]

    assert ratio["p_value"] == pytest.approx(0.97, abs=0.005)
    assert ratio["exact_p_value"] == pytest.approx(1)
    assert ratio["state"] == "consistent"
    assert ratio["expected"] == pytest.approx({"control": 249.5, "nudge": 748.5})


def test_a_planned_arm_without_a_row_raises_the_alarm(tmp_path: Path) -> None:
    # Case E5. Three rows would be no evidence against the weights.
    rows = table("arm,done", *["control,1"] * 3)
    found = analyze(tmp_path, rows, "--metric=done", *PLANNED)

    assert (found["sample_ratio"]["state"], found["sample_ratio"]["absent"]) == (
        "do not trust", ["nudge"],
    )  # fmt: skip
    assert compared(found)["difference"]["reason"] == "no learner of this arm is counted yet"
    assert "No row is in the planned arm nudge. Do not trust" in text_of(
        tmp_path, rows, "--metric=done", *PLANNED
    )


def test_a_row_in_an_arm_that_was_not_planned_raises_the_alarm(tmp_path: Path) -> None:
    rows = table("arm,done", "control,1", "nudge,1", "email,0")
    found = analyze(tmp_path, rows, "--metric=done", *PLANNED)

    assert found["sample_ratio"]["state"] == "do not trust"


def test_a_comparison_without_comparable_outcomes_is_refused_first(tmp_path: Path) -> None:
    # Case E6.
    rows = table("arm,done", "control,1", *["control,"] * 196, *["nudge,0", "nudge,1"] * 387, ",1")
    text = text_of(tmp_path, rows, "--metric=done")

    assert "Rows left out because they have no arm: 1." in text
    before, _, after = text.partition("done (rate)")
    assert "Not compared: done of nudge, because outcomes are missing in 0 of 774 rows" in before
    assert "nudge is not compared, as said above." in after


def test_bounds_say_what_is_known_if_outcomes_are_missing_by_arm(tmp_path: Path) -> None:
    rows = table("arm,y", *["control,1", "control,2"] * 100, *["nudge,3", "nudge,4", "nudge,"] * 99)
    found = compared(analyze(tmp_path, rows, "--metric=y"))

    assert (found["withheld"], found["difference"]["value"]) == (True, None)
    bounds = found["beside"]["Lee's bounds"]
    assert bounds["low"] < bounds["lower"] < 2 < bounds["upper"] < bounds["high"]


def test_a_unit_in_two_arms_is_left_out_and_counted(tmp_path: Path) -> None:
    # Case E7.
    rows = table("arm,u,done", "control,u1,1", "nudge,u1,0", "control,u2,1", "nudge,u3,0")
    found = analyze(tmp_path, rows, "--metric=done", "--unit=u")

    assert (found["units_in_several_arms"], found["arms"]) == (1, {"control": 1, "nudge": 1})
    assert [arm["successes"] for arm in found["metrics"][0]["arms"]] == [1, 0]
    assert "because their rows are in several arms: 1." in text_of(
        tmp_path, rows, "--metric=done", "--unit=u"
    )


METRICS = ("--metric=done", "--metric=n", "--metric=n:ratio=of", "--metric=day:time=left")
UNIT_ROWS = table(
    "arm,u,done,n,of,day,left",
    "control,a,0,1,2,9,0", "control,a,1,2,2,7,1", "control,a,0,,5,3,1", "control,b,,,,,",
    "control,c,1,5,9,4,0", "nudge,d,0,4,4,2,0", "nudge,d,0,0,1,8,0", "nudge,e,1,3,3,6,1",
    ",f,1,9,9,9,1", "nudge,,1,9,9,9,1",
)  # fmt: skip
# The same units with one row each: any success, sums of known pairs, and the first event.
WHOLE_UNITS = table(
    "arm,done,n,of,day,left",
    "control,1,3,4,3,1", "control,,,,,", "control,1,5,9,4,0", "nudge,0,4,5,8,0", "nudge,1,3,3,6,1",
)  # fmt: skip


def test_rows_of_a_unit_count_as_one(tmp_path: Path) -> None:
    by_rows = analyze(tmp_path, UNIT_ROWS, *METRICS, "--unit=u")
    by_units = analyze(tmp_path, WHOLE_UNITS, *METRICS)

    assert (by_rows["rows_without_arm"], by_rows["rows_without_unit"], by_rows["rows"]) == (1, 1, 8)
    assert by_rows["metrics"] == by_units["metrics"]


def test_a_covariate_with_gaps_drops_nobody(tmp_path: Path) -> None:
    # Case E8, in ten rows and in forty.
    for count, is_adjusted in ((10, False), (40, True)):
        lines = [
            f"{arm},{y},{'' if number in (0, 2, 4) else x}"
            for number, (arm, y, x) in enumerate(random_rows(count))
        ]
        found = analyze(tmp_path, table("arm,y,x", *lines), "--metric=y", "--covariate=x")

        assert sum(arm["n"] for arm in found["metrics"][0]["arms"]) == count
        notes = " ".join(compared(found)["notes"])
        assert (f"adjusted for x (n = {count})" in notes) == is_adjusted
        assert ("not adjusted: the smaller arm has 5 learners" in notes) != is_adjusted


def test_adjustment_is_the_regression_with_interactions(tmp_path: Path) -> None:
    rows = random_rows(60)
    lines = [f"{arm},{y!r},{x!r}" for arm, y, x in rows]
    found = compared(analyze(tmp_path, table("arm,y,x", *lines), "--metric=y", "--covariate=x"))

    y, x = (np.array([row[place] for row in rows]) for place in (1, 2))
    treated = np.array([row[0] == "nudge" for row in rows], dtype=float)
    design = np.column_stack([np.ones(60), treated, x - x.mean(), treated * (x - x.mean())])
    fit = sm.OLS(y, design).fit(cov_type="HC2")
    assert found["difference"]["value"] == pytest.approx(fit.params[1], rel=1e-9)
    assert found["difference"]["standard_error"] == pytest.approx(fit.bse[1], rel=1e-9)
    # The relative difference is that of the adjusted means, and the unadjusted one stands beside.
    assert found["relative"]["value"] == pytest.approx(fit.params[1] / fit.params[0], rel=1e-9)
    assert found["beside"]["unadjusted"]["standard_error"] > found["difference"]["standard_error"]


def test_categories_are_columns_of_zeros_and_ones(tmp_path: Path) -> None:
    # The most frequent category has no column, and both ways to write a missing one are the same.
    words_of = ("x", "x", "x", "x", "b", "", "NA")
    shown = [(arm, y, words_of[n % 7]) for n, (arm, y, _) in enumerate(random_rows(121))]
    lines = [f"{arm},{y},{word},{int(word == 'b')},{int(word in ('', 'NA'))}"
             for arm, y, word in shown]  # fmt: skip
    rows = table("arm,y,word,b,missing", *lines)
    words = compared(analyze(tmp_path, rows, "--metric=y", "--covariate=word"))
    columns = compared(
        analyze(tmp_path, rows, "--metric=y", "--covariate=missing", "--covariate=b")
    )

    assert words["notes"] == ["adjusted for word=missing, word=b (n = 121)"]
    assert words["difference"]["value"] == pytest.approx(columns["difference"]["value"], rel=1e-9)
    assert words["difference"]["standard_error"] == pytest.approx(
        columns["difference"]["standard_error"], rel=1e-9
    )


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [("7", "x is left out: in an arm, it is the same"), ("", "x is left out: no learner has it")],
    ids=["constant", "empty"],
)
def test_a_useless_covariate_leaves_the_result_as_it_is(
    tmp_path: Path, cell: str, sentence: str
) -> None:
    rows = table("arm,y,x", *(f"{arm},{y},{cell}" for arm, y, _ in random_rows(30)))
    plain = compared(analyze(tmp_path, rows, "--metric=y"))
    found = compared(analyze(tmp_path, rows, "--metric=y", "--covariate=x"))

    assert found["difference"] == plain["difference"]
    assert sentence in found["notes"][0]


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [(["1e200"], "Covariate 'x' holds 1e+200, which is out of range"),
     ([f"text {n}" for n in range(21)], "holds 21 different texts")],
    ids=["large", "texts"],
)  # fmt: skip
def test_a_wrong_covariate_is_refused(tmp_path: Path, cells: list[str], sentence: str) -> None:
    rows = table("arm,y,x", *(f"{arm},1,{cell}" for cell in cells for arm in ("control", "nudge")))
    with pytest.raises(CommandError, match=sentence.replace("+", r"\+")):
        analyze(tmp_path, rows, "--metric=y", "--covariate=x")


def test_a_ratio_without_denominator_has_a_reason(tmp_path: Path) -> None:
    rows = table("arm,n,of", *["control,0,0"] * 9, *["nudge,1,2", "nudge,2,3"] * 5)
    for args in ((), ("--cluster=n",), ("--covariate=of",)):
        rows_of = rows if args != ("--cluster=n",) else rows.replace("nudge,2", "nudge,1")
        found = compared(analyze(tmp_path, rows_of, "--metric=n:ratio=of", *args))
        assert "denominator" in found["difference"]["reason"]


def test_times_give_the_published_test_and_medians(tmp_path: Path) -> None:
    # Freireich et al. (1963), Blood 21:699. Medians of 8 and 23 weeks: Klein and Moeschberger
    # (2003), Survival Analysis, table 4.1; log-rank 16.79: Kleinbaum and Klein (2012), Survival
    # Analysis, chapter 2.
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    events, censored = (
        [6, 6, 6, 7, 10, 13, 16, 22, 23],
        [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35],
    )
    rows = table(
        "arm,weeks,back", *(f"control,{week},1" for week in placebo),
        *(f"6-MP,{week},1" for week in events), *(f"6-MP,{week},0" for week in censored),
    )  # fmt: skip
    found = analyze(tmp_path, rows, "--metric=weeks:time=back")

    assert [arm["median"] for arm in found["metrics"][0]["arms"]] == [8, 23]
    log_rank = compared(found)["beside"]["log-rank test"]
    assert log_rank["chi_square"] == pytest.approx(16.79, abs=0.005)
    # Beyond 23 weeks, nobody of the control is observed.
    assert found["metrics"][0]["arms"][1]["horizon"] == 23
    assert compared(found)["difference"]["low"] > 0


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("0,1", "the times of the control do not vary up to the horizon"),
        ("0,0", "no learner of the control is observed up to the horizon"),
        (",", "no learner of the control is counted yet"),
    ],
    ids=["zero", "censored", "nobody"],
)
def test_times_that_cannot_be_compared_have_a_reason(
    tmp_path: Path, cells: str, reason: str
) -> None:
    rows = table("arm,day,left", *[f"control,{cells}"] * 2, *[f"nudge,{cells}"] * 2)
    found = compared(analyze(tmp_path, rows, "--metric=day:time=left"))

    assert reason in found["difference"]["reason"]


def test_a_negative_time_is_refused(tmp_path: Path) -> None:
    rows = table("arm,day,left", "control,-1,1", "nudge,3,1")
    with pytest.raises(CommandError, match=r"Column 'day' holds -1\. A time is at least 0"):
        analyze(tmp_path, rows, "--metric=day:time=left")


def test_a_cap_lowers_the_largest_outcomes_of_all_arms(tmp_path: Path) -> None:
    rows = table("arm,n", *(f"{arm},{n % 5}" for n in range(100) for arm in ("control", "nudge")),
                 "control,49854")  # fmt: skip
    found = analyze(tmp_path, rows, "--metric=n", "--cap=99")["metrics"][0]

    # The 199th of 201 outcomes is the first that 99 % do not exceed.
    assert found["cap"]["value"] == 4
    assert found["cap"]["arms"]["control"]["share_capped"] == pytest.approx(1 / 101)
    assert found["cap"]["arms"]["control"]["share_of_total_cut"] == pytest.approx(49850 / 50054)
    assert found["arms"][0]["mean"] == pytest.approx(204 / 101)
    text = text_of(tmp_path, rows, "--metric=n", "--cap=99")
    assert "Capped at 4, percentile 99 of all arms together. Above it: control 0.99%" in text


def test_p_values_of_several_comparisons_are_those_of_holm(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = table("arm,a,b", *(f"{arm},{rng.randint(0, 3)},{rng.randint(0, 3)}"
                              for arm in ("control", "x", "y") * 30))  # fmt: skip
    found = analyze(tmp_path, rows, "--metric=a", "--metric=b")

    results = [each for metric in found["metrics"] for each in metric["comparisons"]]
    raw = [each["difference"]["p_value"] for each in results]
    assert [each["holm_p_value"] for each in results] == pytest.approx(list(holm(raw)), rel=1e-12)


def test_a_verdict_accounts_for_all_comparisons(tmp_path: Path) -> None:
    # 12 of 40 against 22 of 40 has p = .02, and three more comparisons find nothing.
    rows = table("arm,a,b", *(f"control,{int(n < 12)},{n % 2}" for n in range(40)),
                 *(f"nudge,{int(n < 22)},{n % 2}" for n in range(40)))  # fmt: skip
    alone = compared(analyze(tmp_path, rows, "--metric=a"))
    among = compared(analyze(tmp_path, rows, "--metric=a", *["--metric=b"] * 3))

    assert (alone["finding"], among["finding"]) == ("higher", "no difference after correction")
    assert alone["difference"] == among["difference"]


def test_numbers_too_far_apart_for_a_ratio_have_a_reason(tmp_path: Path) -> None:
    rows = table("arm,s,n,of,x", *(f"{arm},{arm}{n % 3},{n}e99,1e-99,{n}"
                                 for n in range(9) for arm in ("control", "nudge")))  # fmt: skip
    for args in ((), ("--cluster=s",), ("--covariate=x",)):
        found = compared(analyze(tmp_path, rows, "--metric=n:ratio=of", *args))
        assert "too far apart in size" in found["difference"]["reason"]


def test_a_file_in_several_parts_is_read_as_one(tmp_path: Path) -> None:
    # pyarrow reads about a megabyte at a time. The rows of a unit are far apart.
    ids = [f"{number:060}" for number in range(12_000)]
    path, positions = tmp_path / "long.csv", list[int]()
    path.write_text(table("arm,u,n", *(f"a,{unit},{number % 7}" for number, unit in enumerate(ids)),
                          *(f"a,{unit},1" for unit in ids)))  # fmt: skip
    with open_table(path) as opened:
        found = read_columns(opened, numbers=["n"], labels=["arm", "u"], progress=positions.append)

    assert positions == sorted(positions)
    assert (len(positions) > 1, positions[-1]) == (True, path.stat().st_size)
    assert found.labels["u"].codes.tolist() == [*range(12_000)] * 2
    assert found.numbers["n"].tolist() == [*(number % 7 for number in range(12_000)), *[1] * 12_000]
