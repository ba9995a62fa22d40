import csv
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from math import isnan

import pytest

from activity.texts import with_courses
from experiments.metrics.definitions import METRICS
from experiments.metrics.observed import Observed
from experiments.reporting.charts import plot_svg, plotted_rows
from experiments.reporting.facts import (
    NO_MESSAGE,
    ArmFacts,
    CourseFacts,
    DeliveryCounts,
    ExperimentFacts,
    Fate,
)
from experiments.reporting.methods import methods
from experiments.reporting.page import outcome_rows
from experiments.reporting.received import (
    ghosts_note,
    learner_rows,
    planned_numbers,
    received_rows,
)
from experiments.reporting.report import Report, build_report
from experiments.reporting.text import (
    CSV_COLUMNS,
    cautions,
    csv_rows,
    draw_rows,
    draw_summary,
    hours_text,
    number_rows,
)
from experiments.reporting.verdict import Finding
from experiments.stats.rates import rate_difference
from experiments.stats.sufficient import Counts

AS_OF = datetime(2025, 10, 26, 12, 0, tzinfo=UTC)
FACTS = ExperimentFacts(
    key="nudge", name="Nudge", hypothesis="", population="Video-only", is_running=False,
    started_at=AS_OF - timedelta(days=30), stopped_at=None, as_of=AS_OF, level=0.95,
    protocol_sha256="0" * 64, courses=(CourseFacts("Statistics", is_live=True),),
)  # fmt: skip


def arm(key: str, assigned: int, *, weight: float = 0.5, name: str = "") -> ArmFacts:
    return ArmFacts(key, name or key, key == "control", weight, assigned)


def of_all_metrics(n: int, reached: int) -> dict[str, Observed]:
    """Return the outcomes of n assignments of which `reached` have one event each."""
    found = {}
    for metric in METRICS:
        width = len(metric.outcome.columns)
        none, one = (0,) * width, (1,) * width
        found[metric.key] = metric.observe({none: n - reached, one: reached})
    return found


def two_arms(**facts: object) -> Report:
    return build_report(
        ExperimentFacts(**{**vars(FACTS), **facts}),
        arms=[arm("control", 210), arm("nudge", 205)],
        metrics=METRICS,
        observed={"control": of_all_metrics(200, 80), "nudge": of_all_metrics(195, 117)},
        deliveries={
            "nudge": {
                Fate("handed_off"): DeliveryCounts(190, 180),
                Fate("dropped", "opted_out"): DeliveryCounts(4, 4),
                Fate("dropped", "goal"): DeliveryCounts(7, 7),
            },
            "control": {Fate("ghost"): DeliveryCounts(9, 8)},
        },
    )


def three_arms(name: str = "") -> Report:
    return build_report(
        FACTS,
        arms=[arm("nudge", 90, weight=0.3, name=name), arm("control", 120, weight=0.4),
              arm("guide", 90, weight=0.3)],
        metrics=METRICS,
        observed={key: of_all_metrics(90, 40) for key in ("nudge", "control", "guide")},
        deliveries={},
    )  # fmt: skip


CLOCK_STOPPED = CourseFacts("Demo", is_live=True, stopped_at=AS_OF)
HIDDEN = CourseFacts("Hidden", is_live=False)


def nobody(*courses: CourseFacts, is_running: bool = True) -> Report:
    facts = replace(FACTS, is_running=is_running, courses=courses or FACTS.courses)
    return build_report(
        facts,
        arms=[arm("control", 0), arm("nudge", 0)],
        metrics=METRICS,
        observed={},
        deliveries={},
    )


def test_each_metric_compares_the_arm_with_the_control() -> None:
    report = two_arms()
    row = report.rows[0]
    expected = rate_difference(Counts(80, 200), Counts(117, 195))

    assert [each.key for each in report.rows] == [metric.key for metric in METRICS]
    assert (row.lift, row.low, row.high) == (expected.value, expected.low, expected.high)
    assert row.p_value == expected.p_value
    assert (row.control_level, row.arm_level) == (0.4, 0.6)
    assert row.verdict.finding == Finding.HIGHER
    assert "60.0% of learners attempted a quiz within 7 days in nudge" in row.verdict.text


def test_each_other_arm_is_compared_with_the_control_at_any_position() -> None:
    report = three_arms()

    assert [(row.arm.key, row.control.key) for row in report.rows[:2]] == [
        ("nudge", "control"),
        ("guide", "control"),
    ]
    assert len(report.rows) == 6


def test_assignments_that_are_not_counted_wait() -> None:
    report = two_arms()

    assert report.results[0].waiting == {"control": 10, "nudge": 10}
    assert report.results[0].waits == 20
    assert "20 of 415 learners are not counted yet" in " ".join(cautions(report))


def test_arm_sizes_are_tested_against_the_intended_weights() -> None:
    report = three_arms()

    assert report.balance.expected == pytest.approx((90, 120, 90))
    assert report.balance.p_value == pytest.approx(1)
    assert [row.expected for row in draw_rows(report)] == ["90.0", "120.0", "90.0"]


def test_a_report_without_draws_has_reasons_and_no_numbers() -> None:
    report = nobody()

    assert draw_summary(report) == "No learner has been drawn yet."
    assert all(isnan(row.lift) and isnan(row.p_value) for row in report.rows)
    assert all(row.verdict.finding == Finding.UNKNOWN for row in report.rows)
    assert isnan(report.balance.p_value)
    assert {cell.difference for cell in number_rows(report)} == {"", "-"}


@pytest.mark.parametrize(
    ("courses", "words"),
    [
        ((CLOCK_STOPPED,), ["clock stopped on Sunday 26 October 2025, 12:00 (UTC). No more"]),
        ((HIDDEN,), ["The course Hidden is not live. Its learners are drawn"]),
        ((CLOCK_STOPPED, HIDDEN), ["clock stopped", "is not live"]),
    ],
    ids=["stopped", "not live", "both"],
)
def test_the_draw_summary_says_why_no_learner_can_be_drawn(
    courses: tuple[CourseFacts, ...], words: list[str]
) -> None:
    text = draw_summary(nobody(*courses))

    assert all(each in text for each in words)
    assert "yet" not in text


def test_the_draw_summary_expects_learners_while_one_course_draws() -> None:
    assert draw_summary(nobody(CLOCK_STOPPED, *FACTS.courses)) == "No learner has been drawn yet."
    assert draw_summary(nobody(is_running=False)) == (
        "No learner was drawn before the experiment was stopped."
    )


def test_the_draw_summary_names_no_course_that_the_reader_may_not_see() -> None:
    unseen = replace(CLOCK_STOPPED, is_seen=False)

    assert "Demo" not in draw_summary(nobody(unseen, HIDDEN))
    assert "Hidden" in draw_summary(nobody(unseen, HIDDEN))
    assert draw_summary(nobody(unseen)) == "No learner has been drawn yet."


def test_a_stopped_clock_gives_a_caution_and_no_promise() -> None:
    text = " ".join(cautions(two_arms(is_running=True, courses=(CLOCK_STOPPED,))))

    assert "its clock stopped on Sunday 26 October 2025, 12:00 (UTC)" in text
    assert "20 of 415 learners are not counted yet. The clock stopped before" in text
    assert "still running" not in text
    assert "counts once" not in text
    assert "stands still" not in " ".join(cautions(two_arms(is_running=True)))


def test_the_draw_summary_shows_the_learners_per_arm() -> None:
    assert draw_summary(two_arms()) == "415 learners were drawn: 210 into control, 205 into nudge."


def test_a_running_experiment_and_many_comparisons_give_cautions() -> None:
    assert "still running" in " ".join(cautions(two_arms(is_running=True)))
    assert "still running" not in " ".join(cautions(two_arms()))
    assert "6 comparisons are shown" in " ".join(cautions(three_arms()))
    assert "once in 20 (95% level)" in " ".join(cautions(three_arms()))


def test_numbers_show_the_control_first_and_without_a_difference() -> None:
    rows = list(number_rows(three_arms()))

    assert [row.arm for row in rows[:3]] == ["control", "nudge", "guide"]
    assert [row.span for row in rows[:3]] == [3, 0, 0]
    assert (rows[0].difference, rows[0].p_value) == ("", "")
    assert (rows[1].counted, rows[1].total, rows[1].level) == ("90", "40", "44.4%")
    assert rows[1].difference == "+0.0 points"


def test_messages_are_listed_with_their_reasons_the_most_frequent_first() -> None:
    rows = received_rows(two_arms())

    assert [row.words for row in rows] == [
        "Sent",
        "Ghosts: would have been sent",
        "Not sent, because the learner had reached the goal",
        "Not sent, because the learner does not want these messages",
    ]
    assert [[cell.deliveries for cell in row.cells] for row in rows] == [
        [0, 190], [9, 0], [0, 7], [0, 4],
    ]  # fmt: skip
    assert planned_numbers(two_arms()) == [9, 201]


def test_learners_with_and_without_a_message_add_up_to_the_draws() -> None:
    found = two_arms()
    none = {**found.arms[0].deliveries, NO_MESSAGE: DeliveryCounts(0, 12)}
    changed = replace(found, arms=[replace(found.arms[0], deliveries=none), *found.arms[1:]])

    having, without, drawn = (numbers for _, numbers in learner_rows(changed))
    assert drawn == [arm.assigned for arm in found.arms]
    assert without == [12, 0]
    assert [sum(pair) for pair in zip(having, without, strict=True)] == drawn
    assert planned_numbers(changed) == [9, 201]
    assert [row.words for row in received_rows(changed)] == [
        row.words for row in received_rows(found)
    ]


@pytest.mark.parametrize(
    ("ghosts", "messages", "is_explained"),
    [(430, 390, True), (390, 430, False), (210, 205, False), (0, 0, False)],
    ids=["more ghosts", "more messages", "equal per learner", "none"],
)
def test_more_ghosts_than_messages_per_learner_are_explained(
    ghosts: int, messages: int, is_explained: bool
) -> None:
    control = replace(arm("control", 210), deliveries={Fate("ghost"): DeliveryCounts(ghosts, 200)})
    nudge = replace(
        arm("nudge", 205), deliveries={Fate("handed_off"): DeliveryCounts(messages, 200)}
    )
    report = replace(two_arms(), arms=[control, nudge])

    assert ("leave the segment" in ghosts_note(report)) is is_explained
    assert ghosts_note(nobody()) == ""
    with_empty = replace(report, arms=[control, nudge, arm("third", 0)])
    assert ghosts_note(with_empty) == ghosts_note(report)


def test_the_file_has_one_row_per_arm_and_metric_in_full_precision() -> None:
    report = two_arms()
    text = StringIO()
    writer = csv.writer(text)
    writer.writerows([CSV_COLUMNS, *csv_rows(report)])
    rows = list(csv.DictReader(StringIO(text.getvalue())))

    assert len(rows) == 6
    control, nudge = rows[:2]
    assert [row["total"] != "" for row in rows] == [row["kind"] == "mean" for row in rows]
    assert [row["successes"] != "" for row in rows] == [row["kind"] == "binary" for row in rows]
    for row in rows:
        level = int(row["successes"] or row["total"]) / int(row["counted"])
        assert float(row["rate_or_mean"]) == pytest.approx(level)
    assert (control["is_control"], control["lift"], control["finding"]) == ("true", "", "")
    assert (nudge["successes"], nudge["counted"], nudge["waiting"]) == ("117", "195", "10")
    assert float(nudge["lift"]) == report.rows[0].lift
    assert float(nudge["relative_high"]) == report.rows[0].comparison.relative.high
    assert (nudge["method"], nudge["finding"]) == ("Miettinen-Nurminen score", "higher")


def test_the_file_leaves_unknown_numbers_empty_with_a_reason() -> None:
    cells = dict(zip(CSV_COLUMNS, list(csv_rows(nobody()))[1], strict=True))

    assert (cells["rate_or_mean"], cells["lift"], cells["p_value"]) == ("", "", "")
    assert "is counted yet" in cells["reason"]


def test_rates_share_an_axis_and_a_mean_has_its_own() -> None:
    quiz, module, attempts = plotted_rows(two_arms())

    assert [each.row.metric.key for each in (quiz, module, attempts)] == [
        "quiz_attempted_7d", "module_completed_7d", "quiz_attempts_7d",
    ]  # fmt: skip
    assert quiz.plot.interval.value == pytest.approx(20)
    assert quiz.plot.domain == module.plot.domain != attempts.plot.domain
    assert [each.plot.axis for each in (quiz, attempts)] == [
        "percentage points", "quiz attempts per learner within 7 days",
    ]  # fmt: skip


def test_axis_holds_zero_and_every_interval_of_its_rows() -> None:
    for each in plotted_rows(two_arms()):
        low, high = each.plot.domain
        assert low < min(0, each.plot.interval.low)
        assert high > max(0, each.plot.interval.high)


@pytest.mark.slow
def test_plot_takes_its_colors_from_the_page_and_holds_no_script() -> None:
    svg = plot_svg(plotted_rows(two_arms())[0].plot)

    assert svg.startswith("<svg")
    assert all(f"var(--{name})" in svg for name in ("ink", "good", "line"))
    assert "#0102" not in svg
    assert "<script" not in svg


def test_a_report_without_intervals_has_no_plot() -> None:
    assert {each.plot for each in plotted_rows(nobody())} == {None}


def test_rows_mark_the_primary_outcome_and_write_the_sign() -> None:
    rows = outcome_rows(two_arms())

    assert [row.is_primary for row in rows] == [True, False, False]
    assert (rows[0].badge, rows[0].style) == ("better: +20.0 points", "good")
    assert rows[0].levels == "nudge 60.0%, control 40.0%"
    assert "The 95% interval goes from +10.1 to +29.5 points" in rows[0].details


def test_rows_of_several_arms_name_the_arm() -> None:
    rows = outcome_rows(three_arms())

    assert [row.name for row in rows[:2]] == [
        "Quiz attempted within 7 days: nudge", "Quiz attempted within 7 days: guide",
    ]  # fmt: skip
    assert {row.badge for row in rows} == {"not clear"}


@pytest.mark.parametrize(
    ("titles", "name"),
    [
        ([], "Nudge"),
        (["Biology 2025"], "Nudge (Biology 2025)"),
        (["Nudge"], "Nudge"),
        (["A", "B"], "Nudge (A and B)"),
        (["A", "B", "C"], "Nudge (3 courses)"),
    ],
    ids=["none", "one", "already in it", "two", "three"],
)
def test_names_carry_their_courses(titles: list[str], name: str) -> None:
    assert with_courses("Nudge", titles) == name


@pytest.mark.parametrize(
    ("hours", "text"),
    [(168, "7 times 24 hours"), (48, "2 times 24 hours"), (24, "24 hours"), (1.5, "1.5 hours"),
     (100, "100 hours")],
)  # fmt: skip
def test_a_window_is_written_in_hours(hours: float, text: str) -> None:
    assert hours_text(timedelta(hours=hours)) == text


def test_a_metric_without_counted_learners_is_shown_as_not_compared() -> None:
    assert methods(nobody())[0] == (
        "Quiz attempted within 7 days: counted for exactly 7 times 24 hours. Not compared yet."
    )
