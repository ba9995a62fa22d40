"""The goal that a learner reaches while a message waits for the morning, a cap or a server."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from activity.models import Enrollment
from experiments.models import DeliveryOutcome
from interventions.channels.memory import MemoryConnection
from interventions.models import Cadence, Delivery, Run
from interventions.operations import save_cap, save_quiet_hours
from interventions.stages.plan import plan_due
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
    make_run,
    mark_evaluated,
)
from tests.segmentation.factories import ACTED_TODAY

pytestmark = pytest.mark.django_db

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def make_waiting(enrollment: Enrollment, cadence: Cadence, **fields: Any) -> Run:
    """Return a run with a second step to come, whose first message is planned at NOW."""
    run = make_run(enrollment, cadence, started_at=NOW, next_position=0, next_at=NOW, **fields)
    plan_due(now=NOW)
    return run


def reach(enrollment: Enrollment, at: datetime) -> None:
    act(enrollment, occurred_at=at)
    mark_evaluated(enrollment)


def states(run: Run) -> list[tuple[str, str]]:
    return list(Delivery.objects.filter(run=run).order_by("pk").values_list("state", "reason"))


def quiet_hours(_: Enrollment) -> None:
    save_quiet_hours(begins=time(12), ends=time(14))


def cap(enrollment: Enrollment) -> None:
    save_cap("a mail in a day", limit=1, window="rolling_hours", length=24)
    make_counted(enrollment, NOW - 22 * HOUR)


def no_server(_: Enrollment) -> None:
    pass


@pytest.mark.parametrize("waits_for", [quiet_hours, cap, no_server])
@pytest.mark.parametrize("reaches", [True, False], ids=["goal reached", "goal not reached"])
@pytest.mark.parametrize("ghost", [False, True], ids=["treated", "ghost"])
@pytest.mark.sampled(2)
def test_a_message_that_waited_goes_out_only_without_its_goal(
    waits_for: Callable[[Enrollment], None], reaches: bool, ghost: bool
) -> None:
    enrollment = make_evaluated()
    waits_for(enrollment)
    run = make_waiting(enrollment, make_cadence(goal_rule=ACTED_TODAY, steps=2), ghost=ghost)
    server = MemoryConnection()
    server.down = waits_for is no_server
    dispatch(NOW, channel=server)
    assert [state for state, _ in states(run)] == ["planned"]
    if reaches:
        reach(enrollment, NOW + HOUR)

    sent, _ = dispatch(NOW + 3 * HOUR)

    run.refresh_from_db()
    if reaches:
        assert states(run) == [("dropped", "goal")]
        assert (run.status, run.exit_reason, run.next_at) == ("exited", "goal", None)
    else:
        assert states(run) == [("ghost" if ghost else "handed_off", "")]
    assert len(sent) == (not reaches and not ghost)


def test_another_message_of_the_learner_goes_out_instead() -> None:
    enrollment = make_evaluated()
    ended = make_waiting(enrollment, make_cadence(goal_rule=ACTED_TODAY, steps=2, priority=10))
    other = make_waiting(enrollment, make_cadence(priority=90))
    save_cap("a mail in a day", limit=1, window="rolling_hours", length=24)
    reach(enrollment, NOW + HOUR)

    dispatch(NOW + 3 * HOUR)

    assert states(ended) == [("dropped", "goal")]
    assert states(other) == [("handed_off", "")]


def test_the_experiment_hears_that_the_goal_was_reached() -> None:
    enrollment, cadence = make_evaluated(), make_cadence(goal_rule=ACTED_TODAY)
    nudge = arm_of(make_experiment(cadence.segment, start=False), "nudge")
    make_waiting(enrollment, cadence, assignment=assign(enrollment, nudge))
    reach(enrollment, NOW + HOUR)

    dispatch(NOW + 3 * HOUR)

    assert [(each.outcome, each.reason) for each in DeliveryOutcome.objects.all()] == [
        ("dropped", "goal")
    ]


def test_a_message_that_is_sent_at_once_costs_no_question_about_its_goal() -> None:
    number = []
    for goal in (None, ACTED_TODAY):
        make_waiting(make_evaluated(), make_cadence(goal_rule=goal))
        with CaptureQueriesContext(connection) as queries:
            assert dispatch(NOW + MINUTE / 3)[1] == {"handed_off": 1}
        number.append(len(queries))

    assert number[0] == number[1]


def test_a_goal_that_cannot_be_read_puts_off_only_its_messages() -> None:
    enrollment, cadence = make_evaluated(), make_cadence(goal_rule=ACTED_TODAY, priority=10)
    bad = make_waiting(enrollment, cadence)
    sound = make_waiting(enrollment, make_cadence(priority=90))
    Cadence.objects.filter(pk=cadence.pk).update(goal_rule={"field": "nothing"})
    make_delivery()

    sent, _ = dispatch(NOW + HOUR)

    assert len(sent) == 2
    assert states(sound) == [("handed_off", "")]
    assert states(bad) == [("planned", "error")]
    put_off = Delivery.objects.get(run=bad)
    assert put_off.send_at > NOW + HOUR
    assert "nothing" in put_off.trace[-1]["detail"]
