"""What the plan said of the end is on the page, with the numbers for those who look at any time."""

from dataclasses import replace
from datetime import timedelta

from experiments.metrics.definitions import LOWER
from experiments.reporting.advice import Advice, Decision, advice
from experiments.reporting.answer import Judgement, judgement_text
from experiments.reporting.facts import CourseFacts
from experiments.reporting.methods import methods
from experiments.reporting.page import outcome_rows
from experiments.reporting.report import Report
from experiments.reporting.sections import staying_texts
from experiments.reporting.stopping import any_time_texts, layer_text, plan_texts
from tests.experiments.test_report import AS_OF, FACTS
from tests.experiments.test_trust import file_of, of_arms

REPORT = of_arms(24, 22, kindness=0.4).report


def with_facts(**facts: object) -> Report:
    return replace(REPORT, facts=replace(REPORT.facts, **facts))


def test_a_plan_without_an_end_sends_readers_to_the_interval_for_any_time() -> None:
    row = REPORT.primary.rows[0]
    found = REPORT.looking
    assert found is not None
    limits = row.figures.interval(found.sequences["nudge"])

    assert list(plan_texts(REPORT)) == [
        "The plan names no smallest difference that matters.",
        "No end, no largest number and no look was planned.",
    ]
    first, second = any_time_texts(REPORT)
    assert first.endswith("then quote the interval for any time, which follows.")
    assert f"It goes from {limits} points (p" in second


def test_a_planned_end_and_the_smallest_difference_are_said() -> None:
    planned = with_facts(
        ends_at=AS_OF, most_learners=1200, looks=(AS_OF - timedelta(days=7),), smallest_lift=0.05
    )
    smallest, end = plan_texts(planned)

    assert smallest == (
        "The smallest difference in “Quiz attempted within 7 days” that was to matter: 5.0 points."
    )
    assert end.startswith("It was to end on ")
    assert " or with 1,200 learners; looks were planned on " in end
    assert len(list(any_time_texts(planned))) == 1


def test_sections_have_no_interval_for_any_time_and_say_so() -> None:
    sections = replace(with_facts(draws_sections=True), looking=None)

    (text,) = any_time_texts(sections)
    assert text.endswith("and there is no interval for any time by section.")
    assert not list(any_time_texts(replace(sections, facts=replace(FACTS, ends_at=AS_OF))))


def test_numbers_for_any_time_are_withheld_like_all_others() -> None:
    assert not list(any_time_texts(of_arms(60, 20).report))


def test_nothing_is_known_yet_at_the_end() -> None:
    over = with_facts(courses=(CourseFacts("Statistics", is_live=True, stopped_at=AS_OF),))
    # Some of its learners are not counted yet.
    assert (over.is_final, REPORT.is_final) == (True, False)
    assert judgement_text(over, Judgement.UNKNOWN) == "not known"
    assert judgement_text(REPORT, Judgement.UNKNOWN) == "not known yet"
    assert Advice(Decision.WAIT, "", is_final=True).badge == "cannot tell"
    found = advice(over)
    assert found is not None
    assert found.is_final
    assert not any("yet" in text for text in methods(over))


def test_the_better_direction_and_the_cut_of_a_mean_time_are_said() -> None:
    rows = dict(zip([row.key for row in REPORT.rows], outcome_rows(REPORT), strict=False))
    by_name = {row.name: row for row in rows.values()}
    for result in REPORT.results:
        row = by_name[result.metric.name]
        is_lower = result.metric.better == LOWER
        assert (row.better, row.side) == (
            ("Less is better.", "left") if is_lower else ("More is better.", "right")
        )
        assert ("(mean time, where longer times count as " in row.levels) is (
            result.metric.family.is_cut
        )
    assert any(result.metric.family.is_cut for result in REPORT.results)


def test_the_bounds_of_lee_have_limits_with_chance() -> None:
    (text, _) = staying_texts(REPORT)
    primary, *_ = file_of(REPORT)

    assert "stay; with chance, the 95% interval of Imbens and Manski is " in text
    assert float(primary["lee_low"]) < float(primary["lee_lower"])
    assert float(primary["lee_upper"]) < float(primary["lee_high"])


def test_a_layer_says_whom_it_leaves_out() -> None:
    half = with_facts(layer_share=50.0)

    assert layer_text(REPORT, outside=None) == ""
    assert layer_text(half, outside=None).startswith("Only 50% of learners can be drawn")
    assert layer_text(half, outside=1).endswith("; 1 of today's members is among them.")
