"""Checks of a report beside its outcomes: guardrails, correction, who left, who was reached."""

import json
from dataclasses import replace
from datetime import timedelta
from math import isnan
from typing import Any
from uuid import uuid4

import pytest

from experiments.metrics.definitions import GUARDRAILS, METRICS, WEEK
from experiments.models import Arm, Assignment, DeliveryOutcome, Experiment
from experiments.operations import record_delivery_outcome
from experiments.queries import report
from experiments.reporting.answer import Judgement, answers, judge
from experiments.reporting.guardrails import UNSEEN, guardrail_text, state_text
from experiments.reporting.report import Report, build_report
from experiments.reporting.sections import reach_texts
from experiments.reporting.text import CSV_COLUMNS, csv_rows
from experiments.reporting.verdict import Finding
from experiments.stats.balance import Balance
from experiments.stats.margins import Verdict
from experiments.stats.sufficient import Counts
from tests.experiments.factories import assign, running_experiment
from tests.experiments.test_report import FACTS, arm
from tests.factories import NOW, act, all_act, make_enrollment

AS_OF = NOW + 2 * WEEK
HOUR = timedelta(hours=1)


def of_rates(reached: dict[str, tuple[int, ...]], n: int, **facts: Any) -> Report:
    """Return a report of as many rates as each arm has numbers, with `n` learners an arm."""
    width = len(next(iter(reached.values())))
    metrics = [replace(METRICS[0], key=f"m{place}") for place in range(width)]
    return build_report(
        replace(FACTS, **facts),
        arms=[arm(key, n, weight=1 / len(reached)) for key in reached],
        metrics=metrics,
        observed={
            key: {
                metric.key: metric.observe({(0,): n - one, (1,): one})
                for metric, one in zip(metrics, numbers, strict=True)
            }
            for key, numbers in reached.items()
        },
        deliveries={},
    )


@pytest.mark.slow
def test_the_primary_outcome_is_corrected_for_arms_and_the_others_for_each_other() -> None:
    found = of_rates(
        {"control": (40, 40, 40), "nudge": (60, 55, 40), "guide": (42, 40, 40)}, 100,
        is_corrected=True,
    )  # fmt: skip
    plain = [row.p_value for row in found.rows]

    corrected = [row.corrected_p for row in found.rows]

    # Holm: the smallest of two times two, the smallest of four times four.
    assert corrected[0] == pytest.approx(2 * plain[0])
    assert corrected[1] == pytest.approx(plain[1])
    assert corrected[2] == pytest.approx(4 * plain[2])
    assert plain[2] < 0.05 < corrected[2]
    assert [row.verdict.finding for row in found.rows[:3]] == [
        Finding.HIGHER, Finding.NOT_FOUND, Finding.HINT,
    ]  # fmt: skip
    assert judge(found, found.rows[2]) is Judgement.HINT
    assert "after correction" in found.rows[2].verdict.text


def test_without_correction_each_difference_stands_alone() -> None:
    found = of_rates({"control": (40, 40), "nudge": (55, 55)}, 100)

    assert [row.corrected_p for row in found.rows] == [row.p_value for row in found.rows]
    assert {row.verdict.finding for row in found.rows} == {Finding.HIGHER}


@pytest.fixture
def experiment(db: None) -> Experiment:
    return running_experiment()


def drawn(experiment: Experiment, arm: str, number: int, **fields: Any) -> list[Assignment]:
    return [assign(experiment, arm, NOW, make_enrollment(**fields)) for _ in range(number)]


def handed(assignment: Assignment, outcome: str, at: Any = NOW + HOUR) -> None:
    record_delivery_outcome(assignment.pk, delivery_key=uuid4(), outcome=outcome, at=at)


@pytest.mark.slow
def test_guardrails_say_harm_safety_and_ignorance(experiment: Experiment) -> None:
    nudged, controls = drawn(experiment, "nudge", 30), drawn(experiment, "control", 30)
    all_act([each.enrollment for each in nudged[:12]], "UNSUBSCRIBED", at=NOW + HOUR)
    all_act([each.enrollment for each in controls], "LOGIN", at=NOW + HOUR)

    rows = {row.metric.key: row for row in report(experiment, as_of=AS_OF).guardrails}

    assert rows.keys() == {metric.key for metric, _ in GUARDRAILS}
    assert rows["unsubscribed_7d"].guardrail.verdict is Verdict.HARMFUL
    assert rows["unsubscribed_7d"].is_harmful
    assert guardrail_text(rows["unsubscribed_7d"]).startswith(
        "12 of 30 learners unsubscribed within 7 days (40.0%), against 0 of 30 (0.0%). The "
        "difference is +40.0 points (95% interval +"
    )
    # Nobody complained. With 30 learners, a harm of a point cannot be ruled out.
    assert state_text(rows["complained_7d"]) == UNSEEN
    assert guardrail_text(rows["complained_7d"]).startswith(
        "0 of 30 learners marked a message as spam within 7 days (0.0%), against 0 of 30 (0.0%). "
        "Nobody did in either arm; with so few learners, up to "
    )
    # UNSUBSCRIBED is no act.
    assert rows["inactive_7d"].arm_level == 1.0


def test_an_empty_arm_has_guardrails_without_numbers(experiment: Experiment) -> None:
    drawn(experiment, "control", 3)

    for row in report(experiment, as_of=AS_OF).guardrails:
        assert isnan(row.arm_level)
        assert guardrail_text(row) == f"{row.metric.name}: no learner of this arm is counted yet."


@pytest.mark.slow
def test_learners_who_leave_one_arm_withhold_its_comparison(experiment: Experiment) -> None:
    drawn(experiment, "control", 40)
    drawn(experiment, "nudge", 20)
    leaving = drawn(experiment, "nudge", 20, withdrew_at=NOW + 24 * HOUR)
    all_act([each.enrollment for each in leaving], "ATTEMPT_QUIZ", at=NOW + HOUR)

    found = report(experiment, as_of=AS_OF)

    assert found.staying is not None
    (left,) = found.staying.arms
    assert (found.staying.control_left, left.left) == (Counts(0, 40), Counts(20, 40))
    assert left.p_value < 0.001
    assert judge(found, found.rows[0]) is Judgement.WITHHELD
    (answer,) = answers(found)
    assert answer.found == (
        "So far, no comparison of learners in “nudge” with those who did not get it is given."
    )
    assert answer.how_sure.startswith("20 of 40 learners in “nudge” left the course within")
    # Nor does the file give what the page withholds.
    rows = [dict(zip(CSV_COLUMNS, row, strict=True)) for row in csv_rows(found)]
    of_nudge = [row for row in rows if row["arm"] == "nudge"]
    assert {(row["finding"], row["lift"], row["p_value"]) for row in of_nudge} == {
        ("withheld", "", "")
    }
    assert list(reach_texts(found)) == []
    # Of those who stayed nobody attempted a quiz. The control keeps between none and all of it.
    assert left.bounds is not None
    assert (left.bounds.lower, left.bounds.upper) == (0.0, 0.0)


def test_equal_leaving_withholds_nothing(experiment: Experiment) -> None:
    for key in ("control", "nudge"):
        drawn(experiment, key, 20)
        drawn(experiment, key, 10, withdrew_at=NOW + 24 * HOUR)

    found = report(experiment, as_of=AS_OF)

    assert found.staying is not None
    assert found.staying.is_any
    assert judge(found, found.rows[0]) is not Judgement.WITHHELD


@pytest.mark.slow
def test_the_effect_on_the_reached_divides_by_the_share_reached(experiment: Experiment) -> None:
    controls = drawn(experiment, "control", 40)
    all_act([each.enrollment for each in controls[:8]], "ATTEMPT_QUIZ", at=NOW + 2 * HOUR)
    for place, each in enumerate(drawn(experiment, "nudge", 40)):
        if place < 20:
            handed(each, "handed_off")
        if place < 18:
            act(each.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + 2 * HOUR)

    found = report(experiment, as_of=AS_OF)

    assert found.reach is not None
    (reached,) = found.reach.arms
    assert (reached.reached, found.reach.control_reached) == (Counts(20, 40), Counts(0, 40))
    assert reached.effect is not None
    # (18/40 - 8/40) / (20/40 - 0)
    assert reached.effect.value == pytest.approx(0.5)
    assert reached.effect.low > 0


def test_the_anchored_comparison_starts_with_the_first_message_or_ghost(
    experiment: Experiment,
) -> None:
    late = NOW + 3 * 24 * HOUR
    for key, outcome in (("control", "ghost"), ("nudge", "handed_off")):
        first, second, third, *more = drawn(experiment, key, 6)
        handed(first, outcome, late)
        handed(first, outcome, late + 24 * HOUR)
        # Within 7 days of the draw, but before the message.
        act(first.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + HOUR)
        handed(second, outcome, late)
        # After 7 days of the draw, but within 7 of the message.
        act(second.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + WEEK + HOUR)
        handed(third, "dropped")
        for each in more:
            handed(each, outcome, late)

    found = report(experiment, as_of=AS_OF)

    assert found.reach is not None
    (comparison,) = found.reach.anchored
    assert (comparison.arm_level, comparison.control_level) == (0.2, 0.2)
    assert found.reach.balance.observed == (5, 5)
    assert found.reach.balance.state is Balance.CONSISTENT


def test_reports_of_earlier_protocols_have_no_checks(experiment: Experiment) -> None:
    text = experiment.protocol
    assert '"guardrails":[{' in text
    Experiment.objects.update(protocol=earlier(text))
    experiment.refresh_from_db()

    found = report(experiment, as_of=AS_OF)

    assert (found.guardrails, found.staying, found.reach) == ([], None, None)
    assert not found.facts.is_corrected
    assert Arm.objects.count() == 2
    assert DeliveryOutcome.objects.count() == 0


def earlier(text: str) -> str:

    found = json.loads(text)
    for name in ("guardrails", "analysis", "design", "rules"):
        del found[name]
    return json.dumps(found | {"format": 2, "method": "hash"})
