"""A learner of several courses gets one message of a kind that is once for all courses."""

from datetime import timedelta

import pytest

from interventions.models import Delivery
from interventions.stages.plan import plan_due
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_category,
    make_evaluated,
    make_live_course,
    make_run,
    make_template,
    mark_evaluated,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def make_both(**category):
    """Return one learner's enrollments in two courses, and the cadence of both."""
    cadence = make_cadence(template=make_template(make_category(**category)), steps=2)
    learner = make_learner()
    return [make_evaluated(make_live_course(), learner) for _ in range(2)], cadence


def start(enrollment, cadence, at):
    make_run(enrollment, cadence, next_at=at, next_position=0)


def ends(enrollment):
    rows = Delivery.objects.filter(enrollment=enrollment).order_by("planned_at")
    return list(rows.values_list("state", "reason"))


@pytest.mark.parametrize("once", [True, False])
def test_messages_of_two_courses_become_one_if_their_kind_says_so(once: bool) -> None:
    enrollments, cadence = make_both(once_for_all_courses=once)
    for each, hours in zip(enrollments, (0, 5), strict=True):
        start(each, cadence, NOW + hours * HOUR)
    sent = []
    for hours in range(0, 60, 5):
        plan_due(now=NOW + hours * HOUR)
        sent += dispatch(NOW + hours * HOUR)[0]
        mark_evaluated(*enrollments)

    assert len(sent) == (2 if once else 4)
    assert ends(enrollments[0]) == [("handed_off", "")] * 2
    second = ("dropped", "other_course") if once else ("handed_off", "")
    assert ends(enrollments[1]) == [second] * 2


def test_the_more_important_of_two_courses_goes_out() -> None:
    category = make_category(once_for_all_courses=True)
    learner = make_learner()
    enrollments = [make_evaluated(make_live_course(), learner) for _ in range(2)]
    for each, priority in zip(enrollments, (50, 10), strict=True):
        cadence = make_cadence(template=make_template(category), priority=priority)
        start(each, cadence, NOW)

    plan_due(now=NOW)
    dispatch(NOW)

    assert [ends(each)[0][0] for each in enrollments] == ["dropped", "handed_off"]


def test_a_ghost_in_one_course_takes_no_message_from_the_other() -> None:
    enrollments, cadence = make_both(once_for_all_courses=True)
    for each, ghost in zip(enrollments, (True, False), strict=True):
        make_run(each, cadence, next_at=NOW, next_position=0, ghost=ghost)

    plan_due(now=NOW)
    dispatch(NOW)

    assert [ends(each)[0][0] for each in enrollments] == ["ghost", "handed_off"]


def test_learners_who_share_a_mailbox_get_one_message_each() -> None:
    _, cadence = make_both(once_for_all_courses=True)
    both = [
        make_evaluated(make_live_course(), make_learner(email=each))
        for each in ("us@example.org", "Us@example.org")
    ]
    for each in both:
        start(each, cadence, NOW)

    plan_due(now=NOW)
    dispatch(NOW)

    assert [ends(each)[0][0] for each in both] == ["handed_off"] * 2
