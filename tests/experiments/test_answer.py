"""The sentences that a reader repeats: what was found, how sure, or when there is a result."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from experiments.metrics.definitions import LOWER, METRICS, Metric
from experiments.reporting.answer import Answer, Judgement, answer_line, answers
from experiments.reporting.facts import CourseFacts, DeliveryCounts, ExperimentFacts, Fate
from experiments.reporting.page import all_counted_text, outcome_rows
from experiments.reporting.report import Report, build_report
from experiments.reporting.text import cautions
from experiments.stats.balance import sample_ratio
from tests.experiments.test_report import FACTS, arm

DRAWN_AT = datetime(2025, 10, 20, 6, 30, tzinfo=UTC)
BRUSSELS = CourseFacts("Biology", is_live=True, time_zone="Europe/Brussels")


def report_of(
    control: tuple[int, int],
    nudge: tuple[int, int],
    *,
    metric: Metric = METRICS[0],
    **facts: object,
) -> Report:
    """Return a report of one rate from (reached, counted) of both arms."""
    arms = {"control": control, "nudge": nudge}
    return build_report(
        ExperimentFacts(**{**vars(FACTS), **facts}),
        arms=[
            replace(arm(key, 250), first_at=DRAWN_AT, last_at=DRAWN_AT + timedelta(hours=5))
            for key in arms
        ],
        metrics=[metric],
        observed={
            key: {metric.key: metric.observe({(0,): n - reached, (1,): reached})}
            for key, (reached, n) in arms.items()
            if n
        },
        deliveries={},
    )


def answer_of(*counts: tuple[int, int], **given: object) -> Answer:
    (found,) = answers(report_of(*counts, **given))
    return found


def test_benefit_is_found_with_the_size_and_the_certainty() -> None:
    found = answer_of((80, 200), (117, 195))

    assert found == Answer(
        Judgement.BETTER,
        "Learners in “nudge” did better: 117 of 195 learners attempted a quiz within 7 days "
        "(60.0%), against 80 of 200 (40.0%) among those who did not get it, which is 20.0 points "
        "more.",
        "195 learners in “nudge” and 200 in “control” (those who did not get it) are counted. "
        "With 95% confidence the true difference is 10.1 to 29.5 points more.",
    )


def test_control_with_messages_of_its_own_did_get_something() -> None:
    found = report_of((80, 200), (117, 195))
    sent = replace(found.arms[0], deliveries={Fate("handed_off"): DeliveryCounts(9, 9)})
    row = replace(found.primary.rows[0], control=sent)
    changed = replace(found, results=[replace(found.primary, rows=[row])])

    (answer,) = answers(changed)
    assert "against 80 of 200 (40.0%) among those in “control”, which" in answer.found
    assert "did not get it" not in answer.found + answer.how_sure


def test_harm_is_called_worse() -> None:
    found = answer_of((117, 195), (80, 200))

    assert found.judgement is Judgement.WORSE
    assert found.found.startswith("Learners in “nudge” did worse: 80 of 200 learners")
    assert found.found.endswith("which is 20.0 points fewer.")
    assert found.how_sure.endswith("the true difference is 10.1 to 29.5 points fewer.")


def test_null_says_what_was_ruled_out() -> None:
    found = answer_of((193, 346), (205, 337))

    assert found.found == (
        "It is not clear whether learners in “nudge” differ from those who did not get it: "
        "205 of 337 learners attempted a quiz within 7 days (60.83%), against 193 of 346 (55.78%), "
        "which may be chance."
    )
    assert found.how_sure == (
        "337 learners in “nudge” and 346 in “control” (those who did not get it) are counted. "
        "With 95% confidence the true difference lies between a fall of 2.36 points and a rise of "
        "12.40 points; it may also be zero. With 337 and 346 learners, only a rise of about "
        "10.44 points or more would usually be noticed (in 4 of 5 such experiments)."
    )


@pytest.mark.parametrize(
    ("smallest", "judgement", "start"),
    [
        (0.05, Judgement.NOT_FOUND, "No difference was found between"),
        (0.01, Judgement.NOT_CLEAR, "It is not clear whether"),
        (None, Judgement.NOT_CLEAR, "It is not clear whether"),
    ],
)
def test_no_difference_is_said_only_if_what_is_left_is_too_small_to_matter(
    smallest: float | None, judgement: Judgement, start: str
) -> None:
    found = answer_of((4_000, 10_000), (4_010, 10_000), smallest_lift=smallest)

    assert found.judgement is judgement
    assert found.found.startswith(start)
    assert found.found.endswith("which may be chance.") is (judgement is Judgement.NOT_CLEAR)


def test_more_of_what_a_course_does_not_want_is_worse() -> None:
    unwanted = replace(METRICS[0], better=LOWER)
    (row,) = outcome_rows(report_of((80, 200), (117, 195), metric=unwanted))

    assert answer_of((80, 200), (117, 195), metric=unwanted).judgement is Judgement.WORSE
    assert (row.badge, row.style) == ("worse: +20.0 points", "bad")


def test_running_experiment_has_an_answer_so_far() -> None:
    text = answer_of((80, 200), (117, 195), is_running=True).found

    assert text.startswith("So far, learners in “nudge” did better: 117 of 195 learners")


def test_young_experiment_says_when_its_first_result_comes_by_the_clock_of_its_course() -> None:
    young = report_of((0, 0), (0, 0), courses=(BRUSSELS,))

    assert young.is_young
    first = "The first result comes on Monday 27 October 2025, 07:30 (Europe/Brussels)."
    assert answer_line(young) == first
    assert all_counted_text(young) == (
        "All learners drawn until now are counted on Monday 27 October 2025, 12:30 "
        "(Europe/Brussels)."
    )


def test_waiting_learners_are_counted_at_an_instant_that_is_said() -> None:
    text = " ".join(cautions(report_of((80, 200), (117, 195), courses=(BRUSSELS,))))

    assert "105 of 500 learners are not counted yet." in text
    assert "the last one on Monday 27 October 2025, 12:30 (Europe/Brussels)." in text


def test_first_result_needs_a_learner_in_both_arms() -> None:
    young = report_of((0, 0), (0, 0))
    late = replace(young.arms[1], first_at=DRAWN_AT + timedelta(days=2))
    later = replace(young, arms=[young.arms[0], late])
    empty = replace(young, arms=[young.arms[0], replace(late, first_at=None, assigned=0)])

    assert later.first_result_at == DRAWN_AT + timedelta(days=9)
    assert answer_line(empty) == "Nothing can be compared: no learner was drawn into nudge."


def test_young_experiment_whose_clock_stopped_has_no_result() -> None:
    stopped = (CourseFacts("Demo", is_live=True, stopped_at=DRAWN_AT),)

    assert "the clock stopped before" in answer_line(report_of((0, 0), (0, 0), courses=stopped))


def test_one_counted_arm_is_still_young() -> None:
    assert report_of((1, 5), (0, 0)).is_young
    assert report_of((1, 5), (0, 4)).is_young
    assert not report_of((1, 5), (0, 5)).is_young


def test_broken_draw_has_no_answer_and_judges_nothing() -> None:
    found = report_of((80, 200), (117, 195))
    broken = replace(found, balance=sample_ratio([900, 700], [0.5, 0.5]))
    (row,) = outcome_rows(broken)

    assert answers(broken) == []
    assert answer_line(broken).startswith("Do not trust its numbers yet")
    assert (row.badge, row.style) == ("cannot be trusted", "unknown")
    assert row.plot is None


@pytest.mark.parametrize("counted", [5, 6])
def test_too_few_learners_are_not_called_a_difference(counted: int) -> None:
    found = answer_of((1, counted), (counted - 2, counted))

    assert found.judgement is Judgement.TOO_FEW


@pytest.mark.slow
def test_arm_without_learners_has_no_numbers_in_its_sentences() -> None:
    (metric,) = METRICS[:1]
    observed = metric.observe({(0,): 120, (1,): 80})
    found = build_report(
        FACTS,
        arms=[arm("control", 200), arm("nudge", 200), arm("third", 0, weight=0.01)],
        metrics=[metric],
        observed={key: {metric.key: observed} for key in ("control", "nudge")},
        deliveries={},
    )

    *_, third = answers(found)

    assert third == Answer(
        Judgement.UNKNOWN,
        "It is not known whether learners in “third” differ from those who did not get it.",
        "No learner of this arm is counted.",
    )
    assert [row.levels for row in outcome_rows(found)] == [
        "nudge 40.0%, control 40.0%",
        "control 40.0%",
    ]
