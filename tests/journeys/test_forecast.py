"""What the forecast says of the next 14 days is what plan and dispatch then do."""

import random
from datetime import datetime, time, timedelta
from typing import Any

import pytest

from activity.access import COMMAND_LINE
from activity.models import Due
from common.clock import local_date, local_midnight
from interventions.models import Delivery
from interventions.queries.sends_to_come import sends_to_come
from interventions.stages.plan import plan_due
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_live_course,
    make_run,
)
from tests.journeys.test_prophecies import (
    DAY,
    HOUR,
    START,
    make_limits,
    make_messages,
    make_person,
    spoil,
)

ZONE = "Europe/Brussels"
UNTIL = local_midnight(local_date(START, ZONE) + 14 * DAY, ZONE)


def play(instants: set[datetime]) -> None:
    """Plan and send every four hours until the end, and at the instants."""
    others = {START + 4 * HOUR * number for number in range(int((UNTIL - START) / (4 * HOUR)))}
    for at in sorted(others | instants):
        Due.objects.update(due_at=None)
        plan_due(now=at)
        dispatch(at)


@pytest.mark.long("tests/journeys/test_prophecies.py::test_what_is_said_comes_true")
@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("seed", [3])
def test_forecast_of_14_days_comes_true(seed: int) -> None:
    draw = random.Random(seed)
    course = make_live_course(time_zone=ZONE, ends_on="2025-12-31", live_since=START - 30 * DAY)
    make_limits(draw)
    windows: list[dict[str, Any]] = [{}, {"window_from": time(9), "window_until": time(11, 30)}]
    single = [make_cadence(trigger="manual", priority=each) for each in (10, 50)]
    several = [
        make_cadence(trigger="manual", steps=3, priority=priority, **draw.choice(windows))
        for priority in (5, 60)
    ]
    # The last ones share a mailbox, and so its caps.
    people = [make_person(draw, course, min(number, 18)) for number in range(22)]
    for enrollment in people:
        make_messages(draw, enrollment, single)
        for cadence in draw.sample(several, draw.randint(0, 2)):
            make_run(
                enrollment,
                cadence,
                ghost=draw.random() < 0.2,
                started_at=START - DAY,
                next_position=draw.randint(0, 2),
                next_at=START + timedelta(minutes=draw.randint(-300, 8 * 24 * 60)),
            )
        spoil(draw, enrollment)
    found = sends_to_come(course, until=UNTIL, now=START, viewer=COMMAND_LINE)
    said = sorted(send.at for send in found.sends)
    ghosts = sorted(send.at for send in found.ghosts)

    play({*said, *ghosts})

    assert said == claimed("handed_off")
    assert ghosts == claimed("ghost")
    assert len(said) > 20 < 3 * len(ghosts)
    dropped = Delivery.objects.filter(state="dropped", ghost=False).count()
    assert sum(found.unsent.values()) >= dropped > 0


def claimed(state: str) -> list[datetime]:
    rows = Delivery.objects.filter(state=state, claimed_at__gte=START)
    return sorted(rows.values_list("claimed_at", flat=True))
