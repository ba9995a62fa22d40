"""The forecast of a nudge: read for many learners at once, and decided by the engine's policy."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from interventions.channels import CHANNELS
from interventions.models import Delivery
from interventions.operations import PauseNote, pause_learner, save_cap, suppress, unsubscribe
from interventions.policy.decision import Reason
from interventions.queries.facts import read_situation
from interventions.queries.forecast import (
    CLOCK_STOPPED,
    ENTRY_WAITS,
    forecast,
    unsaved_cadence,
)
from interventions.queries.limits import read_limits
from interventions.queries.nudges import whom
from interventions.queries.situations import read_situations
from interventions.render.links import LinkOwner
from interventions.views.nudge_summary import _WHY_NOT, _why_not
from segmentation.models import WaitingEntry
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    make_any_segment,
    make_cadence,
    make_category,
    make_counted,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_transition,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def course():
    return make_live_course()


def enrolled(course, **fields):
    return make_evaluated(course, make_learner(**fields))


def opt_out(enrollment):
    owner = LinkOwner(enrollment.learner_id, enrollment.pk, enrollment.unit_key)
    unsubscribe(owner, source="page", now=NOW - HOUR)


def everybody(course):
    """Return members with each kind of history, some of whom share a mailbox."""
    plain, silent, paused = (enrolled(course) for _ in range(3))
    nobody, gone = enrolled(course, email=None), enrolled(course, email="gone@example.org")
    refused, sharing = (
        enrolled(course, email="shared@example.org"),
        enrolled(course, email="Shared@example.org"),
    )
    mailed, also = (
        enrolled(course, email="two@example.org"),
        enrolled(course, email="TWO@example.org"),
    )
    opt_out(silent)
    opt_out(refused)
    suppress("gone@example.org", reason="bounced", now=NOW)
    make_counted(mailed, NOW - HOUR, address="two@example.org")
    pause_learner(paused.learner_id, paused=True, now=NOW, note=PauseNote("bo", "asked"))
    return [plain, silent, paused, nobody, gone, refused, sharing, mailed, also]


def test_situations_of_many_are_those_of_each(course, django_assert_num_queries):
    save_cap("One a day", limit=1, window="calendar_day")
    learners = [each.learner for each in everybody(course)]
    limits = read_limits()

    with django_assert_num_queries(6):
        found = read_situations(learners, limits=limits, now=NOW)

    for learner in learners:
        addresses = {name: channel.address(learner) for name, channel in CHANNELS.items()}
        alone = read_situation(learner, [], addresses, limits=limits, now=NOW)
        own = {address.lower() for address in addresses.values()}
        batch = replace(found[learner.pk], suppressed=found[learner.pk].suppressed & own)
        assert batch == alone, learner.email


def forecast_for(members, *, delay=timedelta(0), now=NOW, **fields):
    cadence = unsaved_cadence(make_category(**fields), segment=make_any_segment())
    return forecast(members, cadence=cadence, delay=delay, limits=read_limits(), now=now)


def test_forecast_counts_who_would_get_it_and_groups_the_others(course):
    members = everybody(course)

    found = forecast_for(members)

    assert (found.learners, found.reached, found.first_at) == (9, 3, NOW)
    assert found.first == members[0]
    assert dict(found.others) == {
        "opted_out": 3,
        "learner_paused": 1,
        "no_address": 1,
        "suppressed": 1,
    }


def test_forecast_counts_a_learner_of_two_courses_once(course):
    ana, bo = make_learner(), make_learner(email=None)
    other = make_live_course()
    members = [make_evaluated(each, one) for one in (ana, bo) for each in (course, other)]

    found = forecast_for(members)

    assert (found.members, found.learners, found.reached) == (4, 2, 1)
    assert found.first == members[0]
    assert sum(number for _, number in found.others) == 1


def test_forecast_waits_for_a_cap_as_the_engine_would(course):
    save_cap("One a day", limit=1, window="rolling_hours", length=24)
    member = enrolled(course)
    make_counted(member, NOW - HOUR)

    found = forecast_for([member])

    assert (found.reached, found.first_at) == (1, NOW + timedelta(hours=23))


def test_forecast_knows_that_a_waiting_message_goes_first(course):
    save_cap("One a day", limit=1, window="rolling_hours", length=24)
    member = enrolled(course)
    other = make_cadence(trigger="manual")
    make_delivery(member, other, planned_at=NOW - HOUR, send_at=NOW + HOUR)

    assert forecast_for([member]).first_at == NOW
    # Both are due in the morning, and the one that was planned first goes first.
    Delivery.objects.update(send_at=NOW)
    assert forecast_for([member]).first_at == NOW + 24 * HOUR


def test_forecast_counts_what_waits_for_another_account_with_the_mailbox(
    course, django_assert_num_queries
):
    member = enrolled(course, email="family@example.org")
    other = enrolled(make_live_course(), email="Family@example.org")
    save_cap("One a day", limit=1, window="rolling_hours", length=24)
    make_delivery(other, make_cadence(), planned_at=NOW - HOUR, send_at=NOW)

    assert forecast_for([member]).first_at == NOW + 24 * HOUR
    members = [member, *(enrolled(course) for _ in range(5))]
    cadence = unsaved_cadence(make_category(), segment=make_any_segment())
    limits = read_limits()
    with django_assert_num_queries(9):
        forecast(members, cadence=cadence, delay=timedelta(0), limits=limits, now=NOW)


def test_forecast_leaves_out_entries_that_staff_have_not_decided_on(course):
    segment = make_any_segment(course)
    held, free = enrolled(course), enrolled(course)
    entry = make_transition(held, segment, starts=False)
    WaitingEntry.objects.create(
        transition=entry, enrollment=held, segment=segment, course=course, day=NOW, entered_at=NOW
    )
    cadence = unsaved_cadence(make_category(), segment=segment)

    found = forecast(
        [held, free], cadence=cadence, delay=timedelta(0), limits=read_limits(), now=NOW
    )

    assert (found.reached, found.others) == (1, [(ENTRY_WAITS, 1)])


def test_forecast_knows_a_cap_that_drops(course):
    save_cap("One a day", limit=1, window="rolling_hours", length=24, on_exceed="drop")
    member = enrolled(course)
    make_counted(member, NOW - HOUR)

    assert forecast_for([member]).others == [("frequency_cap", 1)]


def test_forecast_of_an_exempt_category_ignores_caps(course):
    save_cap("One a day", limit=1, window="rolling_hours", length=24)
    member = enrolled(course)
    make_counted(member, NOW - HOUR)

    assert forecast_for([member], capped=False).first_at == NOW


def test_forecast_knows_courses_that_send_nothing():
    waiting = enrolled(make_live_course(live_since=None))
    simulated = enrolled(make_live_course(clock_stopped_at=NOW))

    found = forecast_for([waiting, simulated], delay=timedelta(days=2))

    assert dict(found.others) == {"course_not_live": 1, CLOCK_STOPPED: 1}


def test_usual_week_does_not_have_the_entries_of_a_start(course):
    segment = make_any_segment(course)
    for weeks in (1, 2, 3):
        make_transition(enrolled(course), segment, occurred_at=NOW - timedelta(weeks=weeks))
    for _ in range(9):
        make_transition(enrolled(course), segment, cause="baseline", occurred_at=NOW - HOUR)

    assert whom(segment, viewer=User(is_superuser=True), now=NOW).per_week == 1


def test_forecast_of_nobody_is_empty():
    found = forecast_for([])

    assert (found.learners, found.reached, found.first_at, found.others) == (0, 0, None, [])


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_why_not_is_said_in_words(reason: Reason) -> None:
    said = _why_not(reason, 3)

    assert reason not in said or "_" not in reason
    assert said.startswith("3 learners ")
    assert said != f"3 learners would not: {reason}."
    assert reason in _WHY_NOT or "would not get it, because " in said
