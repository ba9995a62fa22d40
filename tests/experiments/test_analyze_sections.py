"""Analyses of files whose sections were drawn whole."""

import random
from pathlib import Path

import pytest

from tests.experiments.test_analyze_designs import analyze, compared, table, text_of


def section_rows(sections: int, *, size: int = 8, columns: str = "y") -> str:
    rng = random.Random(sections)
    lines = []
    for section in range(sections):
        shared = rng.gauss(0, 1)
        lines += [
            f"{('control', 'nudge')[section % 2]},s{section},{shared + rng.gauss(5, 1)!r},"
            f"{rng.randint(1, 9)},{shared!r}"
            for _ in range(size + section % 3)
        ]
    return table("arm,s,y,of,x", *lines)


@pytest.mark.parametrize("metric", ["y", "y:ratio=of"])
def test_sections_are_compared_by_the_jackknife(tmp_path: Path, metric: str) -> None:
    rows = section_rows(10)
    found = compared(analyze(tmp_path, rows, "--metric", metric, "--cluster=s"))

    cells = [line.split(",") for line in rows.splitlines()[1:]]

    def difference(without: str) -> float:
        def level(arm: str) -> float:
            kept = [row for row in cells if row[0] == arm and row[1] != without]
            bottom = sum(float(row[3]) for row in kept) if "ratio" in metric else len(kept)
            return sum(float(row[2]) for row in kept) / bottom

        return level("nudge") - level("control")

    whole = difference("")
    jackknife = 0.9 * sum((difference(f"s{number}") - whole) ** 2 for number in range(10))
    assert found["difference"]["value"] == pytest.approx(whole, rel=1e-9)
    # A ratio's denominators differ by section, and its jackknife is linearized.
    near = 1e-9 if metric == "y" else 0.2
    assert found["difference"]["standard_error"] == pytest.approx(jackknife**0.5, rel=near)
    assert (found["difference"]["df"], found["sections"]) == (pytest.approx(9), 10)
    assert found["beside"]["randomization test"]["draws"] == 252
    assert found["beside"]["each section once"]["method"] == "Welch t of section means"


def test_no_analysis_of_single_units_is_printed_for_sections(tmp_path: Path) -> None:
    text = text_of(tmp_path, section_rows(20), "--metric=y", "--cluster=s", "--covariate=x")

    assert text.startswith("Sections by arm: control 10, nudge 10. Sections are compared")
    assert "Welch t test" not in text
    adjusted = [line for line in text.splitlines() if "Lin's adjustment" in line]
    assert [line.strip().partition(":")[0] for line in adjusted] == [
        "nudge, each section once, adjusted"
    ]


@pytest.mark.parametrize("sections", [2, 3])
def test_too_few_sections_give_a_reason(tmp_path: Path, sections: int) -> None:
    rows = section_rows(sections)
    found = compared(analyze(tmp_path, rows, "--metric=y", "--cluster=s"))

    assert found["difference"]["low"] is None
    assert "only one section of" in found["difference"]["reason"]
    text = text_of(tmp_path, rows, "--metric=y", "--cluster=s")
    assert f"p cannot be below {1 / (sections):.3f}" in text


def test_draw_of_six_sections_decides_though_the_t_finds_a_difference(tmp_path: Path) -> None:
    levels = {"control": (1, 2, 3), "nudge": (7, 8, 9)}
    rows = table(
        "arm,s,y",
        *(
            f"{arm},{arm}{level},{level + half}"
            for arm, found in levels.items()
            for level in found
            for half in (0, 0.5, 1)
        ),
    )
    found = compared(analyze(tmp_path, rows, "--metric=y", "--cluster=s"))

    # The most extreme of 20 draws, and its opposite.
    assert found["beside"]["randomization test"]["p_value"] == pytest.approx(0.1)
    assert found["difference"]["p_value"] < 0.01
    assert found["finding"] == "not clear by the draw"
    text = text_of(tmp_path, rows, "--metric=y", "--cluster=s")
    assert "The draw of so few sections can make such a difference by itself (p = 0.100" in text


def test_missing_outcomes_are_compared_by_section_too(tmp_path: Path) -> None:
    # One section without outcomes would be an alarm among single units.
    one = section_rows(10, size=40).replace(",s3,", ",s3,x").splitlines()
    rows = "\n".join(line if ",s3," not in line else "nudge,s3,,1,1" for line in one)
    assert not compared(analyze(tmp_path, rows, "--metric=y", "--cluster=s"))["withheld"]

    every = "\n".join(
        line if "nudge" not in line else f"nudge,{line.split(',')[1]},,1,1" for line in one
    )
    found = compared(analyze(tmp_path, every, "--metric=y", "--cluster=s"))
    assert (found["withheld"], found["difference"]["value"]) == (True, None)


@pytest.mark.parametrize(("effect", "is_found"), [(0, False), (4, True)])
def test_relative_and_absolute_difference_of_sections_agree_about_zero(
    tmp_path: Path, effect: int, *, is_found: bool
) -> None:
    lines = [
        f"{('control', 'nudge')[s % 2]},s{s},{5 + s * s % 3 + n % 4 + effect * (s % 2)}"
        for s in range(8) for n in range(4 + s % 3)
    ]  # fmt: skip
    found = compared(analyze(tmp_path, table("arm,s,y", *lines), "--metric=y", "--cluster=s"))

    assert (found["difference"]["low"] > 0) == (found["relative"]["low"] > 0) == is_found
    assert found["relative"]["p_value"] == found["difference"]["p_value"]
    # At 0 the limits of Fieller are as many errors away as those of the difference.
    base = found["difference"]["value"] / found["relative"]["value"]
    assert found["relative"]["high"] * base == pytest.approx(found["difference"]["high"], rel=0.5)
