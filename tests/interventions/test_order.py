"""The order of messages, and messages that keep their place while they wait."""

from datetime import timedelta

import pytest

from activity.models import Due
from interventions.operations import save_cap
from tests.factories import NOW
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    mark_evaluated,
)
from tests.interventions.test_dispatch import state_of

pytestmark = pytest.mark.django_db


@pytest.mark.slow
def test_an_urgent_message_goes_before_many_that_have_waited_longer() -> None:
    urgent = make_delivery(cadence=make_cadence(priority=1), priority=1)
    for minutes in range(3):
        make_delivery(planned_at=NOW - timedelta(minutes=minutes + 1))

    sent, _ = dispatch()

    urgent.refresh_from_db()
    assert sent[0].message_id == urgent.message_id
    assert len(sent) == 4


def test_a_lesser_message_does_not_take_the_place_of_one_whose_evaluation_is_pending() -> None:
    save_cap("one a day", limit=1, window="rolling_hours", length=24, on_exceed="drop")
    enrollment = make_evaluated()
    other = make_evaluated(make_live_course(), enrollment.learner)
    urgent = make_delivery(enrollment, make_cadence(priority=1), priority=1)
    lesser = make_delivery(other)
    Due.objects.filter(pk=enrollment.pk).update(due_at=NOW)

    sent, _ = dispatch()
    assert sent == []
    assert state_of(urgent) == ("planned", "evaluation_pending")
    assert state_of(lesser) == ("planned", "outranked")

    # This also holds for a message planned while the urgent one waits.
    later = make_delivery(make_evaluated(make_live_course(), enrollment.learner))
    assert dispatch(NOW + timedelta(seconds=5))[0] == []
    assert state_of(later) == ("planned", "outranked")

    mark_evaluated(enrollment)
    sent, _ = dispatch(NOW + timedelta(seconds=31))
    urgent.refresh_from_db()
    assert [each.message_id for each in sent] == [urgent.message_id]
    assert state_of(lesser) == ("dropped", "frequency_cap")


def test_a_message_that_goes_out_leaves_no_evaluation_pending() -> None:
    delivery = make_delivery()

    assert len(dispatch()[0]) == 1

    due = Due.objects.get(pk=delivery.enrollment_id)
    assert due.due_at is None
