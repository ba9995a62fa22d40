"""A day keeps the time of day at a clock change, and hours are exact."""

from datetime import UTC, datetime, timedelta

import pytest

from activity.models import Course
from interventions.models import Delivery, Run
from interventions.operations import StepFields
from interventions.policy.durations import later
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from tests.factories import make_learner
from tests.interventions.factories import (
    make_cadence,
    make_evaluated,
    make_live_course,
    make_run,
    make_template,
    make_transition,
)

# 09:00 in London before and after the clocks go back on 26 October 2025.
MONDAY = datetime(2025, 10, 20, 8, 0, tzinfo=UTC)
NEXT_MONDAY = datetime(2025, 10, 27, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LONDON, NEW_YORK, KOLKATA = "Europe/London", "America/New_York", "Asia/Kolkata"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("start", "duration", "zone", "end"),
    [
        pytest.param(MONDAY, 7 * DAY, LONDON, NEXT_MONDAY, id="back an hour"),
        pytest.param(MONDAY, 7 * DAY, KOLKATA, MONDAY + 7 * DAY, id="a zone without changes"),
        pytest.param(
            at("2025-03-28T09:00:00+00:00"), 3 * DAY, LONDON, at("2025-03-31T08:00Z"), id="forward"
        ),
        pytest.param(at("2025-10-26T00:30Z"), HOUR, LONDON, at("2025-10-26T01:30Z"), id="hours"),
        pytest.param(at("2025-10-25T00:30Z"), DAY, LONDON, at("2025-10-26T00:30Z"), id="twice"),
        pytest.param(at("2025-10-26T01:30Z"), 0 * DAY, LONDON, at("2025-10-26T01:30Z"), id="none"),
        pytest.param(
            at("2025-10-25T08:00Z"), DAY + 12 * HOUR, LONDON, at("2025-10-26T21:00Z"), id="both"
        ),
        pytest.param(at("2025-03-29T01:30Z"), DAY, LONDON, at("2025-03-30T01:00Z"), id="skipped"),
        pytest.param(
            at("2025-11-03T14:00Z"), -2 * DAY, NEW_YORK, at("2025-11-01T13:00Z"), id="backwards"
        ),
    ],
)
def test_days_keep_the_time_of_day_and_hours_are_exact(start, duration, zone, end) -> None:
    assert later(start, duration, zone=zone) == end


def test_a_pause_past_the_end_of_the_calendar_does_not_overflow() -> None:
    assert later(MONDAY, timedelta(days=5_000_000), zone=LONDON).year == 9999


def follow(course: Course, learner=None) -> list[datetime]:
    """Return the planned instants of the two steps of a run that starts on Monday."""
    template = make_template()
    steps = [StepFields(template, timedelta(0)), StepFields(template, 7 * DAY)]
    enrollment = make_evaluated(course, learner)
    cadence = make_cadence(template=template, steps=steps)
    make_transition(enrollment, cadence.segment, occurred_at=MONDAY, next_attempt_at=MONDAY)
    react_due(now=MONDAY)
    plan_due(now=MONDAY)
    plan_due(now=NEXT_MONDAY + DAY)
    return list(Delivery.objects.order_by("id").values_list("planned_at", flat=True))


@pytest.mark.django_db
def test_the_second_step_after_7_days_keeps_nine_o_clock_in_london() -> None:
    assert follow(make_live_course(ends_on="2025-12-31")) == [MONDAY, NEXT_MONDAY]


@pytest.mark.django_db
def test_the_learners_own_zone_goes_first() -> None:
    learner = make_learner(time_zone=KOLKATA)
    assert follow(make_live_course(ends_on="2025-12-31"), learner) == [MONDAY, MONDAY + 7 * DAY]


@pytest.mark.django_db
def test_a_first_step_after_7_days_keeps_the_time_of_day_too() -> None:
    template = make_template()
    cadence = make_cadence(template=template, steps=[StepFields(template, 7 * DAY)])
    make_transition(make_evaluated(), cadence.segment, occurred_at=MONDAY, next_attempt_at=MONDAY)
    react_due(now=MONDAY)
    assert Run.objects.get().next_at == NEXT_MONDAY


@pytest.mark.django_db
def test_a_message_expires_at_its_time_of_day() -> None:
    cadence = make_cadence(max_age=7 * DAY)
    run = make_run(make_evaluated(), cadence, started_at=MONDAY, next_at=MONDAY, next_position=0)
    plan_due(now=MONDAY)
    assert run.deliveries.get().expires_at == NEXT_MONDAY


@pytest.mark.django_db
@pytest.mark.parametrize(("before", "runs"), [(timedelta(seconds=1), 1), (timedelta(0), 2)])
def test_a_pause_of_7_days_ends_at_its_time_of_day(before, runs) -> None:
    enrollment = make_evaluated()
    cadence = make_cadence(reentry="cooldown", cooldown=7 * DAY)
    make_run(enrollment, cadence, started_at=MONDAY, status="finished", ended_at=MONDAY)
    at = NEXT_MONDAY - before
    make_transition(enrollment, cadence.segment, occurred_at=at, next_attempt_at=at)
    react_due(now=at)
    assert Run.objects.filter(next_at__lte=at).count() == runs - 1
