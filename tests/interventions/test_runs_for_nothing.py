"""A run that sent nothing before the learner left is none: the message may come later."""

from datetime import timedelta

import pytest

from interventions.models import Delivery, Run
from interventions.operations import start_manually, stop_run
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from tests.factories import NOW
from tests.interventions.factories import dispatch, make_cadence, make_evaluated, make_transition

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def happen(enrollment, cadence, kind: str, at) -> None:
    make_transition(enrollment, cadence.segment, kind, occurred_at=at, next_attempt_at=at)
    react_due(now=at)


@pytest.mark.parametrize(
    "again", [{"reentry": "never"}, {"reentry": "cooldown", "cooldown": 14 * DAY}], ids=str
)
@pytest.mark.parametrize("is_sent", [True, False])
def test_who_left_before_the_first_message_gets_it_at_the_next_entry(
    again: dict, is_sent: bool
) -> None:
    enrollment, cadence = make_evaluated(), make_cadence(**again)
    happen(enrollment, cadence, "enter", NOW)
    # In the night, the message waits until the morning.
    plan_due(now=NOW)
    if is_sent:
        assert len(dispatch()[0]) == 1
    happen(enrollment, cadence, "leave", NOW + HOUR)

    happen(enrollment, cadence, "enter", NOW + DAY)
    plan_due(now=NOW + DAY)

    assert Run.objects.filter(status="active", waits_until=None).exists() is not is_sent
    assert Delivery.objects.filter(state="planned").exists() is not is_sent


@pytest.mark.parametrize("together", [("leave", "enter"), ("enter", "leave", "enter")], ids=str)
def test_coming_and_going_in_one_batch_is_known_too(together: tuple[str, ...]) -> None:
    enrollment, cadence = make_evaluated(), make_cadence(reentry="never")
    if len(together) == 2:
        happen(enrollment, cadence, "enter", NOW)
    for kind in together:
        make_transition(enrollment, cadence.segment, kind)

    react_due(now=NOW)

    assert Run.objects.filter(status="active").count() == 1


def test_what_staff_stopped_stays_stopped() -> None:
    enrollment, cadence = make_evaluated(), make_cadence(trigger="manual")
    run = start_manually(cadence.pk, enrollment.pk, now=NOW)
    stop_run(run.pk, now=NOW)

    assert start_manually(cadence.pk, enrollment.pk, now=NOW + DAY) is None
