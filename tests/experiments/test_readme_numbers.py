"""The README of the zip file says which numbers the notebook computes again. The list is true."""

from pathlib import Path
from random import Random

from experiments.exports.bundle import COMPUTED, NOT_COMPUTED, README
from experiments.exports.notebook.reading import Data
from experiments.exports.notebook.report import beside
from experiments.exports.numbers import GIVEN
from experiments.views.context import report_context
from experiments.views.reports import page_now
from tests.experiments.factories import running_experiment
from tests.experiments.test_recompute import bundle_of_rows, rows_of, unpack

# What holds the numbers of each part of the page: parts of the file of numbers, and other words of
# the README. A part that says only what others do, or has no number of a result, has none.
OF_THE_PAGE: dict[str, tuple[str, ...]] = {
    "answers": ("outcome", "what a new experiment would need or find"),
    "advice": ("guardrail", "what a new experiment would need or find"),
    "outcomes": (
        "outcome",
        "how alike learners of a section are and how large sections are",
        "tests by the draw of which only a sample of the possible draws was counted",
        "tests by the draw corrected for several comparisons",
    ),
    "numbers": ("outcome",),
    "quotes": ("outcome", "any time", "tests by the draw corrected for several comparisons"),
    "cautions": (
        "any time",
        "period",
        "how alike learners of a section are and how large sections are",
    ),
    "never_found": ("the smallest p that the draws of so few sections can give",),
    "draw_summary": ("arms",),
    "draw": ("arms",),
    "balance": ("arms",),
    "balances": ("arms", "reached"),
    "mismatch": ("arms",),
    "expected": ("new learners per week",),
    "staying": ("left",),
    "guards": ("guardrail",),
    "reach": ("reached", "from_message"),
    "received": ("the messages of each arm",),
    "planned": ("the messages of each arm",),
    "learners": ("the messages of each arm",),
    "over_time": ("the difference over time",),
    "event_curves": ("the curves of times",),
    "standing_out": ("parts of learners",),
    "parts": ("parts of learners",),
    "strata": ("parts of learners",),
    "before": ("the time before the draw",),
    "readings": ("readings by ranks, cut numbers, a belief or other courses",),
    "shares_over_time": ("the shares of an adaptive draw over time",),
    "shares_now": ("the shares of an adaptive draw over time",),
}
WITHOUT = {
    "experiment", "report", "heading", "first_result", "all_counted", "is_plotted", "alpha",
    "guards_note", "plan", "layer", "methods", "no_relative", "level", "ghosts_note",
    "over_time_axis", "deviations", "kept", "others",
}  # fmt: skip


def test_each_part_that_the_readme_names_is_in_the_numbers_and_is_computed_again(
    tmp_path: Path,
) -> None:
    random = Random(3)
    rows = [*rows_of(random, "control", 12, 0.0), *rows_of(random, "nudge", 12, 1.0)]
    folder = unpack(bundle_of_rows(rows, {"control": 1.0, "nudge": 1.0}), tmp_path)
    data = Data.read(folder)
    compared = list(beside(data))
    text = " ".join((folder / README).read_text().split())

    assert [each for each in compared if not each[-1]] == []
    # The periods of an adaptive draw have a test of their own.
    assert {key[0] for key, *_ in compared} == COMPUTED.keys() - {"period"}
    assert {key[0] for key in data.reported} == COMPUTED.keys() - {"period"} | {GIVEN}
    named, left_out = text.split("Not in it, and not computed again, are ")
    assert [words for words in COMPUTED.values() if words not in named] == []
    assert [words for words in NOT_COMPUTED if words not in left_out] == []


def test_each_part_of_the_page_has_its_numbers_in_the_readme(db, rf, admin_user) -> None:
    experiment = running_experiment()
    request = rf.get("/")
    request.user = admin_user

    keys = set(report_context(request, experiment, *page_now(experiment, admin_user)))

    assert keys - OF_THE_PAGE.keys() == WITHOUT
    words = {each for of_part in OF_THE_PAGE.values() for each in of_part}
    assert words == {*COMPUTED, *NOT_COMPUTED}
