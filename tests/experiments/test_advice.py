from dataclasses import replace
from typing import Any

import pytest

from experiments.metrics.definitions import GUARDRAILS, METRICS
from experiments.reporting.advice import Advice, Decision, advice
from experiments.reporting.answer import answers
from experiments.reporting.guardrails import corrected_rows
from experiments.reporting.report import Report, build_report, with_checks
from experiments.reporting.sections import guard_texts, guards_note
from tests.experiments.test_report import CLOCK_STOPPED, FACTS, arm

RATE, (GUARDRAIL, MARGIN) = METRICS[0], GUARDRAILS[0]


def of(
    control: tuple[int, int],
    nudge: tuple[int, int],
    unsubscribed: tuple[int, int] = (0, 0),
    drawn: tuple[int, int] | None = None,
    **facts: Any,
) -> Report:
    """Return a report from (reached, counted) of both arms, and how many unsubscribed of each."""
    arms = {"control": control, "nudge": nudge}
    observed = {
        key: {
            RATE.key: RATE.observe({(0,): n - reached, (1,): reached}),
            GUARDRAIL.key: GUARDRAIL.observe({(0,): n - left, (1,): left}),
        }
        for (key, (reached, n)), left in zip(arms.items(), unsubscribed, strict=True)
    }
    sizes = drawn or (control[1], nudge[1])
    report = build_report(
        replace(FACTS, **facts),
        arms=[arm(key, size) for key, size in zip(arms, sizes, strict=True)],
        metrics=[RATE],
        observed=observed,
        deliveries={},
    )
    return with_checks(report, guardrails=[(GUARDRAIL, MARGIN)], observed=observed, anchored={})


SAFE = of((400, 1000), (405, 1000), unsubscribed=(10, 10)).guardrails * 3


def test_a_better_arm_is_kept() -> None:
    assert advice(of((400, 1000), (600, 1000))) == Advice(
        Decision.KEEP, "Keep “nudge”: give it to everybody."
    )


def test_a_better_arm_whose_harm_is_not_ruled_out_is_to_be_watched() -> None:
    report = of((40, 100), (60, 100), unsubscribed=(1, 2))
    found, (answer,) = advice(report), answers(report)

    assert found == Advice(
        Decision.WATCH,
        "Keep “nudge”: give it to everybody. But watch what may get worse, as harm is not ruled "
        "out: “Unsubscribed within 7 days” could be up to 6.4 points worse, and 2.0 points are "
        "accepted.",
    )
    assert answer.how_sure.endswith("Harm is not ruled out in “Unsubscribed within 7 days”.")


def test_harm_that_nobody_met_among_few_learners_is_named_apart() -> None:
    (answer,) = answers(of((40, 100), (60, 100)))

    assert answer.how_sure.endswith(
        "So few learners do not rule it out in “Unsubscribed within 7 days” either, which nobody "
        "did."
    )
    (answer,) = answers(of((400, 1000), (600, 1000)))
    assert "rule it out" not in answer.how_sure


def test_a_worse_arm_is_stopped() -> None:
    assert advice(of((60, 100), (40, 100))) == Advice(
        Decision.STOP, "Stop “nudge”: its learners do worse."
    )


def test_harm_beyond_the_margin_outweighs_a_benefit() -> None:
    assert advice(of((40, 100), (60, 100), unsubscribed=(0, 9))) == Advice(
        Decision.STOP,
        "Stop “nudge”: in “nudge”, 9 of 100 learners unsubscribed within 7 days (9.0%), against 0 "
        "of 100 (0.0%), by more than the 2.0 points that are accepted.",
    )


def test_harm_that_may_be_accepted_is_to_be_weighed() -> None:
    found = advice(of((400, 1000), (600, 1000), unsubscribed=(0, 12)))

    assert found is not None
    assert found.decision is Decision.WAIT
    assert found.text == (
        "Do not give it to everybody before benefit and harm are weighed: in “nudge”, 12 of 1,000 "
        "learners unsubscribed within 7 days (1.2%), against 0 of 1,000 (0.0%), perhaps by more "
        "than the 2.0 points that are accepted."
    )


def test_harm_without_a_benefit_is_not_called_a_benefit() -> None:
    found = advice(of((400, 1000), (405, 1000), unsubscribed=(0, 12)))

    assert found is not None
    assert found.decision is Decision.STOP
    assert found.text.startswith(
        "Stop “nudge”: no benefit is shown, but harm is: in “nudge”, 12 of "
    )
    assert found.text.endswith("perhaps by more than the 2.0 points that are accepted.")


def test_harm_so_far_does_not_end_an_experiment_whose_benefit_may_still_show() -> None:
    found = advice(of((400, 1000), (405, 1000), unsubscribed=(0, 12), is_running=True))

    assert found is not None
    assert found.decision is Decision.WAIT
    assert found.text.startswith(
        "Do not give it to everybody: so far no benefit is shown, but harm is: in “nudge”, 12 of "
    )


@pytest.mark.parametrize(
    ("reached", "decision", "action"),
    [
        ((405, 1000), Decision.WAIT, "Stay with what is simpler: the experiment has ended "),
        ((600, 1000), Decision.WATCH, "Keep “nudge”: give it to everybody. But watch what may "),
    ],
    ids=["not clear", "better"],
)
def test_one_of_several_checks_gives_a_hint_of_harm_and_no_action(
    reached: tuple[int, int], decision: Decision, action: str
) -> None:
    one = of((400, 1000), reached, unsubscribed=(14, 29), is_corrected=True)
    four = corrected_rows(one.guardrails * 4, is_corrected=True)
    report = replace(one, guardrails=[*SAFE, four[0]])
    found = advice(report)

    assert (report.guardrails[-1].is_hint, one.guardrails[0].is_harmful) == (True, True)
    assert found is not None
    assert found.decision is decision
    assert found.text.startswith(action)
    assert found.text.endswith(
        "One of 4 checks of harm gives a hint, but no proof: in “nudge”, 29 of 1,000 learners "
        "unsubscribed within 7 days (2.9%), against 14 of 1,000 (1.4%): p = 0.021 alone, p = "
        "0.083 corrected for all 4."
    )
    first, *_ = guard_texts(report)
    assert (first.state, first.style) == ("perhaps worse", "unknown")
    assert "“perhaps worse” that it does so only without this correction" in guards_note(report)


def test_an_open_experiment_is_left_running() -> None:
    assert advice(of((40, 100), (45, 100), is_running=True)) == Advice(
        Decision.WAIT, "Leave it running."
    )


def test_an_experiment_of_stopped_courses_is_over() -> None:
    found = advice(of((40, 100), (45, 100), is_running=True, courses=(CLOCK_STOPPED,)))

    assert found is not None
    assert found.text.startswith("Stay with what is simpler: the experiment has ended without an")


def test_too_few_learners_are_said_to_be_too_few() -> None:
    for few, words in ((6, "only 6"), (4, "fewer than 5")):
        found = advice(of((2, few), (3, few)))

        assert found is not None
        assert found.text.startswith(
            f"Repeat it with more learners: {words} of an arm are counted, too few for an answer."
        )


def test_an_end_without_an_answer_says_what_a_new_experiment_would_need() -> None:
    found = advice(of((40, 100), (45, 100), smallest_lift=0.1))

    assert found is not None
    # 387.3 by the formula of Fleiss, Levin and Paik, section 4.2, without continuity.
    assert (
        "A new one would need about 388 learners in each arm to find a rise of 10.0 points "
        "in 4 of 5 such experiments."
    ) in found.text


def test_an_end_without_an_answer_says_that_harm_is_not_ruled_out() -> None:
    found = advice(of((40, 100), (45, 100), unsubscribed=(1, 2)))

    assert found is not None
    assert found.text.endswith(" Harm is not ruled out either: see “What must not get worse”.")


def test_what_nobody_did_is_no_open_harm() -> None:
    assert advice(of((40, 100), (60, 100), unsubscribed=(0, 0))) == Advice(
        Decision.KEEP, "Keep “nudge”: give it to everybody."
    )


def test_a_difference_too_small_to_matter_is_dropped() -> None:
    found = advice(of((4000, 10_000), (4010, 10_000), smallest_lift=0.05))

    assert found is not None
    assert found.decision is Decision.STOP
    assert "smaller than 5.0 points, the smallest that was to matter" in found.text


def test_other_outcomes_are_hints_where_the_primary_one_gives_no_answer() -> None:
    report = of((40, 100), (45, 100))
    better = of((40, 100), (60, 100)).primary
    other = replace(RATE, key="other")
    rows = [replace(row, metric=other) for row in better.rows]
    found = advice(replace(report, results=[report.primary, replace(better, rows=rows)]))

    assert found is not None
    assert found.text.endswith(
        "The plan named one outcome to decide by: “Quiz attempted within 7 days”. The others are "
        "hints for the next experiment."
    )
    assert "hints" not in advice(report).text  # type: ignore[union-attr]


def test_arm_sizes_that_are_a_surprise_come_before_a_benefit_and_beside_harm() -> None:
    benefit = advice(of((40, 100), (60, 100), drawn=(200, 264)))
    harm = advice(of((40, 100), (60, 100), unsubscribed=(0, 9), drawn=(200, 264)))

    check = "Check first whether learners are missing: 200 in “control” and 264 in “nudge” are"
    assert benefit is not None
    assert (benefit.decision, benefit.text[: len(check)]) == (Decision.WAIT, check)
    assert harm is not None
    assert harm.decision is Decision.STOP
    assert check in harm.text


def test_arm_sizes_that_cannot_be_chance_are_broken() -> None:
    found = advice(of((40, 100), (60, 100), drawn=(1000, 1500)))

    assert found is not None
    assert found.decision is Decision.BROKEN


@pytest.mark.parametrize("counted", [(0, 0), (0, 5)], ids=["nobody", "one arm"])
def test_nothing_is_advised_before_the_first_result(counted: tuple[int, int]) -> None:
    assert advice(of(counted, (0, 0), drawn=(5, 5))) is None
