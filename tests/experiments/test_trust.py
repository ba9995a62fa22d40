"""What a report withholds is withheld on its page and in each of its files, with one reason."""

from dataclasses import replace
from pathlib import Path
from random import Random

from experiments.exports.bundle import README, Bundle
from experiments.exports.notebook.report import report_text
from experiments.exports.numbers import number_cells
from experiments.reporting.facts import CourseFacts
from experiments.reporting.file_rows import FILE_COLUMNS, file_rows
from experiments.reporting.methods import methods
from experiments.reporting.page import outcome_rows
from experiments.reporting.report import Report
from experiments.reporting.sections import guard_texts, guards_note, reach_texts, staying_texts
from experiments.reporting.text import number_rows
from tests.experiments.test_recompute import bundle_of_rows, rows_of, unpack
from tests.factories import NOW

OF_ONE_ARM = {"drawn", "counted", "total", "rate_or_mean", "learners"}


def of_arms(control: int, nudge: int, kindness: float = 1.0) -> Bundle:
    random = Random(11)
    rows = [*rows_of(random, "control", control, 0.0), *rows_of(random, "nudge", nudge, kindness)]
    return bundle_of_rows(rows, {"control": 1.0, "nudge": 1.0})


def file_of(report: Report, arm: str = "nudge") -> list[dict[str, str]]:
    rows = [dict(zip(FILE_COLUMNS, row, strict=True)) for row in file_rows(report)]
    return [row for row in rows if row["arm"] == arm]


def numbers_of(report: Report) -> set[tuple[str, str]]:
    """Return the part and the name of each number of the nudge that is not given."""
    cells = number_cells(report, settings={})
    return {(part, name) for part, _, arm, name, _ in cells if arm == "nudge" and part != "given"}


def test_broken_arm_sizes_leave_no_comparison_in_any_file(tmp_path: Path) -> None:
    bundle = of_arms(60, 20)
    rows = file_of(bundle.report)

    assert {row["trusted"] for row in rows} == {"false"}
    assert {(row["finding"], row["lift"], row["low"], row["p_value"], row["margin_p_value"],
             row["any_time_low"], row["lee_lower"]) for row in rows} == {
        ("cannot be trusted", "", "", "", "", "", "")
    }  # fmt: skip
    assert all("not as large as intended: learners drawn (p < 0.001)" in row["reason"]
               for row in rows)  # fmt: skip
    assert {float(row["arm_sizes_p_value"]) for row in rows} == {bundle.report.balance.p_value}
    assert {name for _, name in numbers_of(bundle.report)} <= OF_ONE_ARM
    said = report_text(unpack(bundle, tmp_path))
    assert "All numbers agree.\nDO NOT USE THE OUTCOMES: the arms are not as large" in said
    assert "\n\nDO NOT USE THE OUTCOMES: The arms are not" in (tmp_path / README).read_text()


def test_broken_arm_sizes_leave_no_comparison_on_the_page() -> None:
    report = of_arms(60, 20).report

    for row in outcome_rows(report):
        assert (row.badge, row.levels, row.plot) == ("cannot be trusted", "", None)
        assert row.details.startswith("No comparison is given")
    assert {(guard.style, guard.state) for guard in guard_texts(report)} == {
        ("unknown", "cannot be trusted")
    }
    assert not any("interval" in guard.text for guard in guard_texts(report))
    assert guards_note(report) == ""
    assert list(reach_texts(report)) == []
    assert not any("Lee" in text for text in staying_texts(report))
    assert {(row.difference, row.interval, row.p_value) for row in number_rows(report)} == {
        ("", "", "")
    }
    assert all("Its comparison is withheld." in text for text in methods(report)[:-1])


def test_what_leavers_withhold_is_in_no_file_and_its_reason_is_true(tmp_path: Path) -> None:
    bundle = of_arms(40, 40, kindness=6.0)
    primary, *_ = file_of(bundle.report)

    assert (primary["trusted"], primary["finding"], primary["lift"]) == ("false", "withheld", "")
    assert primary["any_time_low"] == primary["corrected_p_value"] == ""
    assert primary["reason"].endswith("mixes two things: how many left, and what the others did")
    # Who left is what is known, and the guardrails tell of the harm. Bounds would be quoted.
    assert primary["left"] != primary["lee_lower"] == ""
    assert not any("Lee" in text for text in staying_texts(bundle.report))
    assert not any("bounds" in name for _, name in numbers_of(bundle.report))
    parts = {part for part, name in numbers_of(bundle.report) if name not in OF_ONE_ARM}
    assert parts == {"guardrail", "left"}
    said = report_text(unpack(bundle, tmp_path))
    assert "All numbers agree.\nNO COMPARISON OF nudge IS GIVEN" in said
    assert "\n\nNO COMPARISON OF nudge IS GIVEN: " in (tmp_path / README).read_text()
    assert "differ with p < 0.001" in methods(bundle.report)[-1]


def test_a_report_that_can_be_trusted_says_so_in_its_files(tmp_path: Path) -> None:
    bundle = of_arms(24, 22, kindness=0.2)
    primary, other, *_ = file_of(bundle.report)
    looking = bundle.report.looking

    assert looking is not None
    assert primary["trusted"] == "true"
    assert float(primary["any_time_low"]) == looking.sequences["nudge"].low
    assert float(primary["any_time_high"]) == looking.sequences["nudge"].high
    assert float(other["corrected_p_value"]) == bundle.report.results[1].rows[0].corrected_p
    assert primary["protocol_sha256"] == bundle.report.facts.protocol_sha256
    assert "DO NOT" not in "".join(next(iter(bundle.files()))[1])


def test_simulated_learners_are_named_in_every_file(tmp_path: Path) -> None:
    bundle = of_arms(24, 22, kindness=0.2)
    course = CourseFacts("Demo", is_live=True, stopped_at=NOW)
    facts = replace(bundle.report.facts, courses=(course,), looks=(NOW,), most_learners=90)
    bundle = replace(bundle, report=replace(bundle.report, facts=facts))
    primary, *_ = file_of(bundle.report)

    assert (primary["simulated"], primary["most_learners"], primary["ends_at"]) == (
        "true",
        "90",
        "",
    )
    assert primary["looks"] == NOW.isoformat()
    assert report_text(unpack(bundle, tmp_path)).startswith("These learners are simulated.\n")
    assert "\nThese learners are simulated.\n" in (tmp_path / README).read_text()


def test_guardrails_say_their_difference_test_and_side() -> None:
    report = of_arms(24, 22, kindness=0.2).report

    assert any("The difference is " in guard.text for guard in guard_texts(report))
    assert guards_note(report).startswith(
        "Harm beyond what is accepted is ruled out if the whole 95% interval lies within it "
        "(inverted Boschloo), which is a test on one side at p < 0.025. "
    )
    assert "also with p corrected for all 4 guardrails (Holm)" in guards_note(report)
    uncorrected = replace(report, facts=replace(report.facts, is_corrected=False))
    assert guards_note(uncorrected).endswith("4 comparisons are not corrected for their number.")
