"""What the page of a nudge promises: what two halves could show, and when a message goes out."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse

from activity.models import Course, Enrollment, Item
from experiments.stats.power import detectable_difference
from interventions.models import Cadence, Run
from interventions.operations import PauseNote, pause_site
from segmentation.models import Transition
from tests.factories import NOW, act, make_enrollment
from tests.interventions.nudges.pages import (
    HTMX,
    RIGHTS,
    address,
    log_in,
    make_class,
    post,
    stop_clock,
    text_of,
    typed,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings):
    stop_clock(monkeypatch, settings)


@pytest.fixture
def segment():
    return make_class()


@pytest.fixture
def staff(client):
    log_in(client, *RIGHTS)
    return client


def entered(segment, at, *, attempts_after=None, learner=None, kind="enter"):
    """Let a learner of the segment's course enter it, and attempt a quiz some time later."""
    learner = learner or make_enrollment(segment.playbook.courses.get())
    Transition.objects.create(
        segment=segment, enrollment=learner, kind=kind, cause="event", starts=True,
        version=1, occurred_at=at, processed_at=at, next_attempt_at=at,
    )  # fmt: skip
    if attempts_after is not None:
        act(learner, "ATTEMPT_QUIZ", occurred_at=at + attempts_after)
    return learner


def came_and_went(segment, at, *, times=1):
    learner = None
    for number in range(times):
        learner = entered(segment, at + number * DAY, learner=learner)
        entered(segment, at + number * DAY + DAY / 2, learner=learner, kind="leave")


def learn(staff, segment, **answers):
    changed = {"do": None, "hold_back": "on", **answers}
    answer = staff.post(address(key=uuid4()), typed(segment, **changed), headers=HTMX)
    return text_of(answer).partition('id="learn"')[2]


def test_page_says_what_can_be_learned_as_soon_as_half_is_held_back(staff, segment):
    for number in range(24):
        day = NOW - 20 * DAY
        entered(segment, day, attempts_after=DAY if number < 6 else None)

    text = learn(staff, segment)

    points = -int(-100 * detectable_difference(17, 17, baseline=0.25).rise // 1)
    assert f"With 17 and 17 learners you would see only a difference of about {points}" in text
    assert "(if 25% attempt a quiz without it)" in text
    assert "of the 24 learners who entered from" in text
    assert "6 attempted a quiz within 7 days." in text
    assert "you would see" not in learn(staff, segment, hold_back=None)


def test_those_already_in_count_if_they_take_part(staff, segment):
    for _ in range(11):
        came_and_went(segment, NOW - 27 * DAY)

    assert "With 7 and 7 learners" in learn(staff, segment, include_present="on")
    assert "50% is assumed" in learn(staff, segment)


def test_learner_who_comes_back_or_is_in_it_now_is_drawn_once(staff, segment):
    for _ in range(10):
        came_and_went(segment, NOW - 28 * DAY, times=5)
    for member in Enrollment.objects.filter(memberships__segment=segment):
        entered(segment, NOW - DAY, learner=member)

    assert "With 6 and 6 learners" in learn(staff, segment, include_present="on")


def test_entries_whose_week_is_not_over_are_not_measured(staff, segment):
    for _ in range(24):
        entered(segment, NOW - 5 * DAY)

    assert "is assumed" in learn(staff, segment, include_present="on")


def test_entries_that_could_start_nothing_are_not_measured(staff, segment):
    for _ in range(24):
        entered(segment, NOW - 20 * DAY)
    Transition.objects.update(starts=False)

    assert "is assumed" in learn(staff, segment, include_present="on")


def test_unknown_number_of_learners_is_said_before_the_start(staff, segment):
    page = text_of(post(staff, segment, hold_back="on"))

    assert "An experiment starts." in page
    assert "It is not known how many learners will enter" in page


def test_what_can_be_learned_takes_a_fixed_number_of_queries(
    staff, segment, django_assert_max_num_queries
):
    for _ in range(40):
        entered(segment, NOW - 20 * DAY)

    with django_assert_max_num_queries(45):
        learn(staff, segment)


def test_nothing_is_forecast_where_the_clock_has_stopped(staff, segment):
    Course.objects.update(clock_stopped_at=NOW)

    page = text_of(post(staff, segment))

    assert "is a simulated course. Its learners get no messages." in page
    assert "Nobody gets it as things are." in page
    assert "A learner who enters now gets it" not in page
    assert "Learners get it when they enter" not in page
    assert "3 learners are in a simulated course" in page


def test_nothing_is_forecast_where_the_course_is_not_live(staff, segment):
    Course.objects.update(live_since=None)

    page = text_of(post(staff, segment))

    assert "is not live. Its learners get no messages until it is." in page
    assert "A learner who enters now gets it" not in page
    assert "3 learners are in a course that is not live yet" in page


def test_those_already_in_are_started_only_in_a_live_course(staff, segment):
    Course.objects.update(live_since=NOW + DAY)
    key = uuid4()

    page = text_of(post(staff, segment, key=key, include_present="on"))
    assert "Those already in would get nothing, now or later" in page
    assert "Start it" not in page
    refused = staff.post(address("start_nudge", key), {"version": "1"}, follow=True)
    assert "Take it live first" in text_of(refused)
    assert not Cadence.objects.exists()

    Course.objects.update(live_since=NOW - DAY)
    staff.post(address("start_nudge", key), {"version": "1"})
    assert Run.objects.count() == 3


def test_nothing_is_forecast_while_all_messages_are_held(staff, segment):
    pause_site(paused=True, now=NOW, note=PauseNote("bo", "A wrong text"))

    page = text_of(post(staff, segment))

    assert "All messages are held. None goes out before they are released." in page
    assert "A learner who enters now gets it" not in page


NEXT = "Your next step: {{ next_item.title | default: 'the next part of the course' }}"


def preview(staff, segment, key):
    post(staff, segment, key=key, do="save", **{"message-0-body": NEXT})
    return text_of(staff.get(reverse("interventions:nudge_preview", args=(key, 0))))


def test_preview_says_that_a_learner_has_no_next_item(staff, segment):
    text = preview(staff, segment, uuid4())

    assert "Your next step: the next part of the course" in text
    assert "has no open module now, so nobody can say what comes next" in text


def test_preview_names_the_item_that_was_next_when_the_clock_stopped(staff, segment):
    course = segment.playbook.courses.get()
    Item.objects.create(
        course=course, key="m3", kind="module", title="Module 3", due_on=(NOW - 30 * DAY).date()
    )
    key = uuid4()
    assert "has no open module now" in preview(staff, segment, key)

    Course.objects.update(clock_stopped_at=NOW - 30 * DAY)
    text = text_of(staff.get(reverse("interventions:nudge_preview", args=(key, 0))))

    assert "Your next step: Module 3" in text
    assert "has no open module" not in text
