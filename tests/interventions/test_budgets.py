"""The number of queries of the stages. It is fixed for any limits."""

from dataclasses import replace
from datetime import time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.models import Assignment, DeliveryOutcome
from interventions.channels.memory import MemoryConnection, memory_channel
from interventions.models import Cadence, Run
from interventions.operations import cache, save_cap, save_quiet_hours
from interventions.stages.dispatch import dispatch_due
from interventions.stages.react import react_due
from interventions.stages.recover import recover
from tests.factories import NOW, make_item
from tests.interventions.factories import (
    arm_of,
    assign,
    dispatch,
    make_any_segment,
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
    make_transition,
)

pytestmark = pytest.mark.django_db


def queries_of(work) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        work()
    return sum("SAVEPOINT" not in query["sql"] for query in captured.captured_queries)


def make_busy(number: int) -> None:
    """Make messages for `number` learners, each with a history, in a course with many items."""
    course, cadence = make_live_course(), make_cadence()
    for _ in range(10):
        make_item(course, "module")
    for _ in range(number):
        enrollment = make_evaluated(course)
        make_counted(enrollment, NOW, cadence=make_cadence())
        enrollment.learner.consents.create(state="in", changed_at=NOW, source="page")
        make_delivery(enrollment, cadence)


@pytest.mark.slow
def test_one_more_message_costs_a_fixed_number_of_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    # Shared rows are read again each second. On a slow machine they would be counted twice.
    monkeypatch.setattr(cache, "SECONDS_TO_KEEP", 3600.0)
    save_quiet_hours(begins=time(1), ends=time(2))
    for number in range(5):
        save_cap(f"cap {number}", limit=9, window="rolling_days", length=7)
    make_busy(1)
    one = queries_of(dispatch)
    make_busy(11)

    eleven = queries_of(dispatch)

    # Claim: lock, learner, messages, facts, next thing, context, update, kept words. Finish: event,
    # update. Cadence, step, category, course, text and limits are shared.
    assert (eleven - one) / 10 <= 10
    assert one <= 35


def test_the_parts_of_a_turn_open_no_savepoints_of_their_own() -> None:
    make_busy(1)

    with CaptureQueriesContext(connection) as captured:
        dispatch()

    # One for the claim and one for the finish, which are transactions outside of tests.
    assert sum(query["sql"].startswith("SAVEPOINT") for query in captured.captured_queries) == 2


@pytest.mark.slow
def test_messages_that_go_out_at_once_share_their_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SECONDS_TO_KEEP", 3600.0)
    channel = replace(memory_channel(MemoryConnection()), connections=lambda: 8)
    found = {}
    for number in (15, 31):
        make_busy(number)
        found[number] = queries_of(
            lambda: dispatch_due(clock=lambda: NOW, channels={"email": channel})
        )

    assert (found[31] - found[15]) / 16 <= 10 / 8


def make_entries(number: int, experiment_of: Cadence, plain: Cadence) -> None:
    """Make learners enter both cadences' segments and leave one in which they had a run."""
    course = plain.segment.playbook.courses.get()
    segment = make_any_segment()
    nudge = arm_of(make_experiment(segment), "nudge")
    left = make_cadence(segment=segment, arm=nudge)
    for _ in range(number):
        enrollment = make_evaluated(course)
        assignment = assign(enrollment, nudge)
        make_delivery(run=make_run(enrollment, left, assignment=assignment))
        for segment in (experiment_of.segment, plain.segment):
            make_transition(enrollment, segment)
        make_transition(enrollment, left.segment, "leave")


@pytest.mark.slow
def test_reacting_takes_as_many_queries_for_eleven_enrollments_as_for_one() -> None:
    course = make_live_course()
    segment = make_any_segment(course)
    experiment = make_experiment(segment)
    nudge, control = arm_of(experiment, "nudge"), arm_of(experiment, "control")
    treatment = make_cadence(segment=segment, arm=nudge, ghost_for=control)
    again = {"reentry": "cooldown", "cooldown": timedelta(0)}
    plain = make_cadence(segment=make_any_segment(course), **again)
    make_entries(1, treatment, plain)
    one = queries_of(lambda: react_due(now=NOW))

    make_entries(11, treatment, plain)
    eleven = queries_of(lambda: react_due(now=NOW))

    assert eleven == one <= 25
    assert Assignment.objects.count() == 2 * 12
    assert Run.objects.count() == 3 * 12
    assert DeliveryOutcome.objects.filter(outcome="dropped").count() == 12


def test_looking_for_work_is_cheap_if_there_is_none() -> None:
    # Caps, quiet hours, holdouts, due learners, and whether a rule reads messages.
    assert queries_of(dispatch) <= 5
    assert queries_of(lambda: react_due(now=NOW)) <= 1
    # One of them asks for experiments at their planned end.
    assert queries_of(lambda: recover(now=NOW)) <= 12
