"""A run ends when the course is over for its learner, in a segment or in none."""

from datetime import timedelta

import pytest

from interventions.models import Delivery, Run
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from tests.factories import NOW
from tests.interventions.factories import (
    dispatch,
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
    make_transition,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def make_over(how: str):
    """Return an enrollment for which the course is over a day after NOW."""
    enrollment = make_evaluated(make_live_course(ends_on=NOW.date()))
    if how == "completed":
        type(enrollment).objects.update(completed_at=NOW + timedelta(hours=1))
        type(enrollment.course).objects.update(ends_on=NOW.date() + 90 * DAY)
    enrollment.refresh_from_db()
    return enrollment


@pytest.mark.parametrize("how", ["ended", "completed"])
@pytest.mark.parametrize("trigger", ["enter", "leave", "manual"])
def test_no_step_is_planned_after_the_course_except_by_staff(how: str, trigger: str) -> None:
    run = make_run(make_over(how), make_cadence(trigger=trigger), next_at=NOW, next_position=0)

    plan_due(now=NOW + DAY)

    run.refresh_from_db()
    by_staff = trigger == "manual"
    assert run.exit_reason == ("" if by_staff else "course_over")
    assert Delivery.objects.count() == (1 if by_staff else 0)


def test_the_last_day_of_the_course_belongs_to_it() -> None:
    run = make_run(make_over("ended"), make_cadence(), next_at=NOW, next_position=0)

    plan_due(now=NOW + timedelta(hours=10))

    assert Run.objects.get(pk=run.pk).exit_reason == ""
    assert Delivery.objects.get().state == "planned"


@pytest.mark.parametrize("how", ["ended", "completed"])
def test_a_message_that_waited_is_not_sent_after_the_course(how: str) -> None:
    delivery = make_delivery(make_over(how))

    sent, _ = dispatch(NOW + DAY)

    delivery.refresh_from_db()
    assert sent == []
    assert (delivery.state, delivery.reason) == ("dropped", "course_over")


@pytest.mark.parametrize("trigger", ["enter", "manual"])
def test_members_of_a_segment_are_treated_like_others_when_the_course_is_over(trigger: str) -> None:
    run = make_run(
        make_over("ended"), make_cadence(trigger=trigger), next_at=NOW + DAY, next_position=0
    )
    segment = run.cadence.segment or make_any_segment(run.enrollment.course)
    make_transition(run.enrollment, segment, "leave", cause="course_over", starts=False)

    react_due(now=NOW + DAY)

    # What staff started goes on: it may be about the time after the course.
    run.refresh_from_db()
    assert run.exit_reason == ("" if trigger == "manual" else "course_over")
