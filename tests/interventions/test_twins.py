"""Ghosts are planned, deferred and dropped like the messages of the treated, to the instant.

Each learner has a twin: the same zone, the same steps at the same instants, the same no. One is
treated and the other is the control. If they differed in anything but the hand-off, the caps would
bias the comparison of the two arms.
"""

from collections import Counter
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.db.models import Min

from activity.models import Due, Enrollment
from experiments.models import DeliveryOutcome
from interventions.models import Delivery, Run
from interventions.operations import StepFields, save_cap, save_quiet_hours, unsubscribe
from interventions.render.links import LinkOwner
from interventions.stages.plan import plan_due
from interventions.stages.recover import recover
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    arm_of,
    assign,
    dispatch,
    make_any_segment,
    make_cadence,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
    make_template,
)
from tests.long import longer

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Each pair: its zone, and the hours from NOW to the beginning of each of its runs.
PAIRS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("Europe/London", (0,)),
    ("Europe/London", (0, 0)),
    # The second one begins in the night of the learner.
    ("America/New_York", (0, 14)),
    ("Asia/Kathmandu", (9, 30)),
    ("", (0, 12, 100)),
    ("Pacific/Apia", (3, 3)),
)
# The words of the ledger that only a hand-off, or only a ghost, has.
SENT = {"claimed": None, "handed_off": "sent", "ghost": "sent"}
MOST_BEATS = 200


def make_pair(place: int, cadences: list[Any], arms: tuple[Any, Any]) -> tuple[Enrollment, ...]:
    """Return a treated learner and the ghost of theirs, with the same runs."""
    zone, hours = PAIRS[place]
    course = make_live_course()
    twins = tuple(make_evaluated(course, make_learner(time_zone=zone)) for _ in range(2))
    for twin, arm in zip(twins, arms, strict=True):
        assignment = assign(twin, arm)
        for cadence, hour in zip(cadences, hours, strict=False):
            at = NOW + hour * HOUR
            make_run(
                twin,
                cadence,
                assignment=assignment,
                ghost=arm.is_control,
                started_at=at,
                next_position=0,
                next_at=at,
            )
    return twins


def live(until: datetime) -> None:
    """Run all beats from NOW, from each instant at which something is due to the next."""
    now = NOW
    for _ in range(MOST_BEATS):
        Due.objects.update(due_at=None)
        plan_due(now=now)
        dispatch(now)
        recover(now=now)
        planned = Delivery.objects.filter(state="planned").aggregate(at=Min("send_at"))["at"]
        step = Run.objects.filter(status="active").aggregate(at=Min("next_at"))["at"]
        following = [at for at in (planned, step) if at is not None]
        if not following or min(following) > until:
            return
        now = max(now + timedelta(seconds=1), min(following))
    raise AssertionError("the beats have no end")


def history(twin: Enrollment) -> list[list[tuple[Any, ...]]]:
    """Return for each message of the learner what was decided, when and why."""
    rows = Delivery.objects.filter(enrollment=twin).order_by("run_id", "step__position")
    return [
        [
            (SENT.get(each["state"], each["state"]), each["reason"], each["at"], each.get("until"))
            for each in row.trace
            if each["state"] != "claimed"
        ]
        for row in rows
    ]


def outcomes(arm: Any) -> Counter[tuple[Any, ...]]:
    """Return what the experiment of the arm was told: the last outcome of each message."""
    rows = DeliveryOutcome.objects.filter(assignment__arm=arm)
    return Counter(
        (SENT.get(outcome, outcome), reason, at)
        for outcome, reason, at in rows.values_list("outcome", "reason", "at")
    )


@pytest.mark.parametrize(
    ("window", "on_exceed", "capped"),
    [
        ("rolling_days", "drop", "dropped"),
        *longer(
            "test_twins_have_the_same_history_under_two_a_week",
            ("calendar_week", "defer", "planned"),
        ),
    ],
)
def test_twins_have_the_same_history_under_two_a_week(
    window: str, on_exceed: str, capped: str
) -> None:
    save_cap("two a week", limit=2, window=window, length=7, on_exceed=on_exceed)
    save_quiet_hours(begins=time(21), ends=time(8))
    template = make_template()
    steps = [StepFields(template, days * DAY) for days in (0, 1, 2)]
    experiment = make_experiment(make_any_segment())
    arms = arm_of(experiment, "nudge"), arm_of(experiment, "control")
    cadences = [
        make_cadence(template=template, steps=steps, priority=each, max_age=5 * DAY)
        for each in (50, 10, 90)
    ]
    pairs = [make_pair(place, cadences, arms) for place in range(len(PAIRS))]
    leaving, saying_no = pairs[1], pairs[2]
    for twin in leaving:
        Enrollment.objects.filter(pk=twin.pk).update(withdrew_at=NOW + 30 * HOUR)

    live(NOW + 14 * HOUR)
    for twin in saying_no:
        (key, *_) = Delivery.objects.filter(enrollment=twin).values_list("key", flat=True)
        unsubscribe(LinkOwner(twin.learner_id, twin.pk, key), source="page", now=NOW + 15 * HOUR)
    live(NOW + 20 * DAY)

    for treated, ghost in pairs:
        assert history(treated) == history(ghost)
    assert outcomes(arms[0]) == outcomes(arms[1])
    assert not Delivery.objects.filter(ghost=True, state="handed_off").exists()
    # The comparison is about something: each of these happened.
    kinds = {each[:2] for treated, _ in pairs for moves in history(treated) for each in moves}
    assert kinds >= {
        ("sent", ""),
        (capped, "frequency_cap"),
        ("planned", "quiet_hours"),
        ("dropped", "withdrawn"),
        ("dropped", "unsubscribed"),
    }
