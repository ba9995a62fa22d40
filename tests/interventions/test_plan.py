"""Each due step becomes one row in the ledger."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.db import connection

from experiments.models import DeliveryOutcome
from interventions.models import Delivery, Run
from interventions.operations import StepFields, start_manually
from interventions.operations import runs as closing
from interventions.operations.runs import close_runs
from interventions.stages.plan import plan_due
from segmentation.rules import RuleError
from tests.factories import NOW, act
from tests.interventions.factories import (
    arm_of,
    assign,
    dispatch,
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
    make_template,
)
from tests.segmentation.factories import ACTED_TODAY

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
planned_outcomes = import_module("interventions.migrations.0019_planned_outcomes")


def make_started(cadence, enrollment=None, **fields) -> Run:
    return make_run(
        enrollment or make_evaluated(), cadence, **{"next_at": NOW, "next_position": 0, **fields}
    )


def planned() -> list[tuple[int, str, str]]:
    rows = Delivery.objects.order_by("step__position", "run_id")
    return list(rows.values_list("step__position", "state", "reason"))


def test_a_due_step_is_planned_once_with_all_that_sending_needs() -> None:
    cadence = make_cadence(priority=7, max_age=2 * DAY)
    run = make_started(cadence)

    assert plan_due(now=NOW + timedelta(hours=1)) == 1
    assert plan_due(now=NOW + timedelta(hours=1)) == 0

    delivery = Delivery.objects.get()
    assert (delivery.run, delivery.step) == (run, cadence.steps.get())
    assert (delivery.learner, delivery.enrollment) == (run.enrollment.learner, run.enrollment)
    assert (delivery.category, delivery.channel) == (cadence.category, "email")
    assert (delivery.priority, delivery.ghost) == (7, False)
    assert (delivery.planned_at, delivery.send_at) == (NOW, NOW)
    assert delivery.expires_at == NOW + 2 * DAY


def test_delays_count_from_the_planned_instant_however_late_the_stage_is() -> None:
    run = make_started(make_cadence(steps=3))

    plan_due(now=NOW + timedelta(hours=30))

    assert list(Delivery.objects.order_by("id").values_list("planned_at", flat=True)) == [
        NOW,
        NOW + DAY,
    ]
    run.refresh_from_db()
    assert (run.next_position, run.next_at) == (2, NOW + 2 * DAY)


def test_a_step_that_is_not_due_is_not_planned() -> None:
    make_started(make_cadence(), next_at=NOW + timedelta(seconds=1))

    assert plan_due(now=NOW) == 0
    assert planned() == []


def test_a_ghost_run_plans_ghosts() -> None:
    make_started(make_cadence(), ghost=True)

    plan_due(now=NOW)

    assert Delivery.objects.get().ghost


def test_a_simulated_course_is_left_alone() -> None:
    make_started(make_cadence(), make_evaluated(make_live_course(clock_stopped_at=NOW)))

    assert plan_due(now=NOW) == 0


def test_a_step_whose_condition_is_not_true_is_dropped_and_the_run_goes_on() -> None:
    template = make_template()
    steps = [StepFields(template, condition=ACTED_TODAY), StepFields(template)]
    cadence = make_cadence(template=template, steps=steps)
    experiment = make_experiment(cadence.segment, start=False)
    idle = make_evaluated()
    active = make_evaluated(idle.course)
    act(active, occurred_at=NOW)
    assignment = assign(idle, arm_of(experiment, "nudge"))
    for enrollment in (idle, active):
        make_started(cadence, enrollment, assignment=assignment if enrollment is idle else None)

    plan_due(now=NOW)

    assert planned() == [
        (0, "dropped", "condition"),
        (0, "planned", ""),
        (1, "planned", ""),
        (1, "planned", ""),
    ]
    outcomes = DeliveryOutcome.objects.order_by("outcome").values_list("outcome", "reason")
    assert list(outcomes) == [("dropped", "condition"), ("planned", "")]


def test_planned_message_of_a_drawn_learner_is_known_to_its_experiment() -> None:
    cadence = make_cadence()
    experiment = make_experiment(cadence.segment, start=False)
    drawn, other = make_evaluated(), make_evaluated()
    assignment = assign(drawn, arm_of(experiment, "nudge"))
    make_started(cadence, drawn, assignment=assignment)
    make_started(cadence, other)

    plan_due(now=NOW)

    outcome = DeliveryOutcome.objects.get()
    assert (outcome.assignment, outcome.outcome, outcome.at) == (assignment, "planned", NOW)
    assert outcome.delivery_key == Delivery.objects.get(enrollment=drawn).key


def test_sent_message_is_no_longer_planned() -> None:
    cadence = make_cadence()
    experiment = make_experiment(cadence.segment, start=False)
    drawn = make_evaluated()
    make_started(cadence, drawn, assignment=assign(drawn, arm_of(experiment, "nudge")))

    plan_due(now=NOW)
    dispatch(now=NOW)

    assert DeliveryOutcome.objects.get().outcome == "handed_off"


@pytest.mark.slow
def test_messages_planned_by_an_earlier_release_become_known_too() -> None:
    experiment = make_experiment(make_cadence().segment, start=False)
    waiting, other = make_delivery(), make_delivery()
    sent = make_counted(waiting.enrollment, NOW)
    assignment = assign(waiting.enrollment, arm_of(experiment, "nudge"))
    for delivery in (waiting, sent):
        delivery.run.assignment = assignment
        delivery.run.save()

    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(planned_outcomes.ADD)

    assert DeliveryOutcome.objects.get().delivery_key == waiting.key
    assert other.run.assignment is None


def test_reaching_the_goal_ends_the_run_before_the_next_message() -> None:
    cadence = make_cadence(goal_rule=ACTED_TODAY, steps=2)
    reached, waiting = make_evaluated(), make_evaluated()
    act(reached, occurred_at=NOW)
    for enrollment in (reached, waiting):
        run = make_started(cadence, enrollment, next_position=1)
        make_delivery(enrollment, run=run)

    plan_due(now=NOW)

    run = Run.objects.get(enrollment=reached)
    assert (run.status, run.exit_reason) == ("exited", "goal")
    assert list(Delivery.objects.filter(run=run).values_list("state", "reason")) == [
        ("dropped", "goal")
    ]
    assert Run.objects.get(enrollment=waiting).status == "active"


def test_a_run_is_finished_when_its_last_message_is() -> None:
    run = make_started(make_cadence())
    plan_due(now=NOW)
    run.refresh_from_db()
    assert (run.status, run.next_at) == ("active", None)

    dispatch(NOW)
    plan_due(now=NOW + timedelta(minutes=1))

    run.refresh_from_db()
    assert (run.status, run.ended_at) == ("finished", NOW + timedelta(minutes=1))


def test_closing_changes_no_run_that_still_waits() -> None:
    make_started(make_cadence())
    make_delivery()

    assert not close_runs(now=NOW)


def test_a_run_that_cannot_be_planned_is_postponed_and_the_others_continue() -> None:
    broken = make_cadence()
    bad = make_started(broken)
    type(broken).objects.filter(pk=broken.pk).update(goal_rule={"field": "nothing"})
    make_started(make_cadence())

    plan_due(now=NOW)

    assert len(planned()) == 1
    bad.refresh_from_db()
    assert (bad.status, bad.attempts, bad.next_at) == ("active", 1, NOW)
    assert RuleError.__name__ in bad.error
    assert bad.retry_at == NOW + timedelta(seconds=30)
    type(broken).objects.filter(pk=broken.pk).update(goal_rule=None)
    assert plan_due(now=NOW + timedelta(seconds=29)) == 0
    assert plan_due(now=NOW + timedelta(seconds=30)) == 1
    bad.refresh_from_db()
    assert (bad.attempts, bad.error, bad.retry_at) == (0, "", None)


def test_a_cadence_can_be_started_by_hand_once() -> None:
    enrollment, cadence = make_evaluated(), make_cadence(trigger="manual", segment=None)

    first = start_manually(cadence.pk, enrollment.pk, now=NOW)

    assert first.enrollment == enrollment
    assert start_manually(cadence.pk, enrollment.pk, now=NOW) is None


def test_planning_many_runs_takes_few_queries(django_assert_max_num_queries) -> None:
    cadence = make_cadence()
    enrollments = [make_evaluated() for _ in range(20)]
    for enrollment in enrollments:
        make_started(cadence, enrollment)

    with django_assert_max_num_queries(20):
        plan_due(now=NOW)

    assert len(planned()) == 20


@pytest.mark.slow
def test_of_many_runs_that_wait_each_beat_looks_at_other_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closing, "MOST_LOOKED_AT", 4)
    waiting = [make_delivery().run for _ in range(12)]
    over = [make_run(run.enrollment, make_cadence(), started_at=NOW) for run in waiting]

    closed = [close_runs(now=NOW + beat * timedelta(seconds=5)) for beat in range(40)]

    assert max(map(len, closed)) <= 4
    assert set().union(*closed) == {run.pk for run in over}


@pytest.mark.slow
def test_runs_that_wait_are_all_looked_at_if_they_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "MOST_LOOKED_AT", 4)
    for beat in range(10):
        over = [make_run(make_evaluated(), make_cadence(), started_at=NOW) for _ in range(4)]

        assert close_runs(now=NOW + beat * timedelta(seconds=5)) == {run.pk for run in over}
