"""The list of courses, and the page of a course with its numbers."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from activity.models import Course
from config.views.course_home import CourseHome, CourseLearners, home_of, learners_of
from interventions.models import Cadence, Delivery, DeliveryState
from interventions.operations import pause_cadence, pause_learner
from segmentation.models import Membership, Playbook, PlaybookMode, Segment
from tests.factories import NOW, make_course, make_enrollment
from tests.interventions.factories import (
    arm_of,
    assign,
    make_cadence,
    make_counted,
    make_delivery,
    make_experiment,
    make_live_course,
    make_run,
)
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def home(course: Course) -> CourseHome:
    viewer = get_user_model()(is_superuser=True, is_active=True)
    return home_of(course, viewer=viewer, now=NOW)


def learners(course: Course) -> CourseLearners:
    viewer = get_user_model()(is_superuser=True, is_active=True)
    return learners_of(course, viewer=viewer, now=NOW)


def enter(enrollment: Any, segment: Any, *, ago: timedelta, left: timedelta | None = None) -> None:
    Membership.objects.create(
        enrollment=enrollment,
        segment=segment,
        entered_at=NOW - ago,
        left_at=None if left is None else NOW - left,
        version=1,
    )


def test_numbers_of_an_exclusive_playbook_add_up() -> None:
    course = make_live_course()
    playbook = make_playbook(course)
    Playbook.objects.update(mode=PlaybookMode.EXCLUSIVE)
    quiet, moving = make_segment(playbook, ACTED_TODAY), make_segment(playbook, ACTED_TODAY)
    each = [make_enrollment(course) for _ in range(6)]
    make_enrollment(course, withdrew_at=NOW - DAY)
    enter(each[0], quiet, ago=DAY)
    enter(each[1], quiet, ago=40 * DAY)
    enter(each[2], moving, ago=2 * DAY)
    enter(each[3], moving, ago=9 * DAY, left=DAY)
    enter(make_enrollment(make_live_course()), quiet, ago=DAY)

    found = learners(course)

    (shown,) = found.playbooks
    assert [(line.now, line.entered, line.left) for line in shown.lines] == [(2, 1, 0), (1, 1, 1)]
    assert {line.rule for line in shown.lines} == {"Active on at least 1 of the last 1 day"}
    assert found.number == sum(line.now for line in shown.lines) + shown.in_none == 6


def test_overlapping_playbook_counts_each_learner_once_as_in_none() -> None:
    course = make_live_course()
    playbook = make_playbook(course)
    segments = [make_segment(playbook, ACTED_TODAY) for _ in range(2)]
    both, _ = make_enrollment(course), make_enrollment(course)
    for segment in segments:
        enter(both, segment, ago=DAY)

    (shown,) = learners(course).playbooks

    assert ([line.now for line in shown.lines], shown.in_none) == ([1, 1], 1)


@pytest.mark.parametrize("mode", PlaybookMode.values)
def test_members_who_left_the_course_while_their_segment_is_frozen_are_counted_apart(
    staff: Client, mode: str
) -> None:
    course = make_course(clock_stopped_at=NOW)
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    Segment.objects.update(status="frozen", error="no")
    Playbook.objects.update(mode=mode)
    for each in (make_enrollment(course), make_enrollment(course, withdrew_at=NOW - DAY)):
        enter(each, segment, ago=2 * DAY)
    make_enrollment(course)

    (shown,) = learners(course).playbooks

    assert [line.now for line in shown.lines] == [2]
    assert (learners(course).number, shown.in_none, shown.gone) == (2, 1, 1)
    said = "Among the members is 1 who does not take the course now."
    assert said in staff.get(f"/courses/{course.pk}/").text


def test_messages_of_the_day_and_those_that_wait_are_counted() -> None:
    course = make_live_course(time_zone="Europe/Brussels")
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    cadence = make_cadence(segment=segment)
    sent = {"state": DeliveryState.HANDED_OFF, "finished_at": NOW}
    make_delivery(make_enrollment(course), cadence, claimed_at=NOW - timedelta(hours=13), **sent)
    # The day begins at 22:00 UTC.
    make_delivery(make_enrollment(course), cadence, claimed_at=NOW - timedelta(hours=15), **sent)
    make_delivery(make_enrollment(course), cadence, send_at=NOW + 2 * DAY)
    ghost = make_run(make_enrollment(course), cadence, ghost=True)
    make_delivery(run=ghost, send_at=NOW + DAY)
    other = make_live_course()
    segment.playbook.courses.add(other)
    make_delivery(make_enrollment(other), cadence, send_at=NOW + DAY)

    at = "Thursday 2 October 2025, 14:00 (Europe/Brussels)"
    assert home(course).messages == [
        "1 message went out today, since midnight in Europe/Brussels.",
        "1 message waits.",
        f"The first goes out on {at} or later.",
    ]


def test_messages_in_doubt_and_held_ones_are_told_apart() -> None:
    course = make_live_course()
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    cadence, other = make_cadence(segment=segment), make_cadence(segment=segment)
    make_counted(make_enrollment(course), NOW, cadence=cadence)
    make_delivery(make_enrollment(course), cadence, state=DeliveryState.IN_DOUBT, claimed_at=NOW)
    # It went out once, perhaps, and is sent again.
    make_delivery(make_enrollment(course), cadence, doubted=True, claimed_at=NOW)
    held = make_delivery(make_enrollment(course), other, send_at=NOW - DAY)
    pause_cadence(other.pk, paused=True, now=NOW)

    sent = "1 message went out today, since midnight in Europe/London."
    doubt = "1 message may have gone out: nobody knows."
    assert home(course).messages == [
        sent,
        doubt,
        "2 messages wait.",
        "1 of them is held until somebody lets it go out.",
        "The first of the others is due now.",
    ]
    pause_learner(held.learner_id, paused=True, now=NOW)
    pause_cadence(other.pk, paused=False, now=NOW)
    pause_cadence(cadence.pk, paused=True, now=NOW)
    assert home(course).messages[2:] == [
        "2 messages wait.",
        "2 of them are held until somebody lets them go out.",
    ]
    Course.objects.update(live_since=None)
    Delivery.objects.filter(doubted=True).delete()
    pause_learner(held.learner_id, paused=False, now=NOW)
    course.refresh_from_db()
    assert home(course).messages[2:] == [
        "1 message waits.",
        "It is held until somebody lets it go out.",
    ]


def test_messages_of_later_steps_and_those_started_by_hand_wait_too() -> None:
    course = make_live_course()
    later = {"next_position": 0, "next_at": NOW + 2 * DAY}
    cadence = make_cadence(segment=make_segment(make_playbook(course), ACTED_TODAY))
    make_run(make_enrollment(course), cadence, **later)
    make_run(make_enrollment(course), cadence, ghost=True, **later)
    make_run(make_enrollment(make_live_course()), cadence, **later)
    by_hand = make_cadence(trigger="manual")
    make_delivery(make_enrollment(course), by_hand, send_at=NOW)

    at = "Thursday 2 October 2025, 13:00 (Europe/London)"
    assert home(course).messages[1:] == [
        "1 message waits.",
        "The first is due now.",
        f"1 message is planned for later, the first for {at}.",
    ]
    Course.objects.update(clock_stopped_at=NOW)
    course.refresh_from_db()
    assert home(course).messages[1:] == [
        "2 messages wait for good, because the clock of this simulated course stands still."
    ]
    Course.objects.update(clock_stopped_at=None)
    course.refresh_from_db()
    Cadence.objects.update(status="archived")
    assert home(course).messages[1:] == ["1 message waits.", "The first is due now."]


def test_experiment_of_the_course_says_when_its_first_result_comes() -> None:
    course = make_live_course()
    experiment = make_experiment(make_segment(make_playbook(course), ACTED_TODAY), name="Half")
    for key in ("control", "nudge"):
        assign(make_enrollment(course), arm_of(experiment, key))

    assert "Its first result comes on" in home(course).results[0].sentence
    assert home(make_live_course()).results == []


def test_page_names_what_is_missing_and_the_guards(staff: Client) -> None:
    course = make_course(title="Biology")

    page = staff.get(f"/courses/{course.pk}/").text

    assert "To do before messages go out" in page
    assert "No active segment looks at this course." in page
    assert "Missing: quiet hours" in page
    assert staff.get("/courses/999999/").status_code == 404


def test_staff_who_may_see_only_courses_are_not_told_that_nothing_else_is_there(
    client: Client,
) -> None:
    course = make_live_course()
    segment = make_segment(make_playbook(course), ACTED_TODAY, name="Secret")
    make_experiment(segment, name="Secret")
    user = get_user_model().objects.create_user("some", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_course"))
    client.force_login(user)

    page = client.get(f"/courses/{course.pk}/").text

    for words in ("Secret", "No active segment", "No experiment is running", "went out today"):
        assert words not in page


@pytest.mark.slow
def test_page_costs_the_same_for_any_number_of_learners(
    django_assert_max_num_queries: Any,
) -> None:
    course = make_live_course()
    playbook = make_playbook(course)
    for _ in range(4):
        segment = make_segment(playbook, ACTED_TODAY)
        make_cadence(segment=segment)
        enter(make_enrollment(course), segment, ago=DAY)
    make_experiment(make_segment(playbook, ACTED_TODAY))
    with django_assert_max_num_queries(22):
        home(course)
        learners(course)


def test_courses_are_found_by_title_or_key(staff: Client) -> None:
    make_course(title="Biology", key="bio-1")
    make_course(title="History", key="his-1")

    assert "History" in staff.get("/courses/").text
    for text in ("olog", "BIO-1"):
        page = staff.get("/courses/", {"course": text}).text
        assert "Biology" in page
        assert "History" not in page
    assert "No course has “chemistry”" in staff.get("/courses/", {"course": "chemistry"}).text


def test_new_installation_says_where_courses_come_from(staff: Client) -> None:
    assert "There is no course yet." in staff.get("/courses/").text


@pytest.mark.slow
def test_links_to_members_lead_to_those_of_the_course(staff: Client) -> None:
    course, other = make_live_course(title="Biology"), make_live_course(title="History")
    segment = make_segment(make_playbook(course, other), ACTED_TODAY)
    for one in (course, other):
        enter(make_enrollment(one), segment, ago=DAY)

    (line,) = learners(course).playbooks[0].lines
    links = re.findall(r'href="([^"]*membership/[^"]*)"', staff.get(line.address).text)

    assert len(links) == 2
    for address in (line.members, *map(unescape, links)):
        answer = staff.get(address)
        shown = answer.getvalue().decode() if answer.streaming else answer.text
        assert (course.title in shown or course.key in shown) is True, address
        # The name of the segment, which is kept for both courses, is in the filter.
        assert f" in {other.title}" not in shown, address
        assert other.key not in shown, address


def test_new_course_leads_to_its_page_which_says_what_comes_next(staff: Client) -> None:
    address = "/admin/activity/course/add/"
    first, *others = staff.get(address).context["adminform"].fieldsets
    assert len(first[1]["fields"]) <= 6
    assert all("collapse" in options["classes"] for _, options in others)
    form = {"title": "Biology", "key": "bio", "time_zone": "brussels", "locale": "en"}
    form |= {"starts_on": "2025-09-01", "ends_on": "2025-12-20", "pass_mark": "0.5"}

    refused = staff.post(address, form | {"starts_on": "1/9/2025"}).text
    assert "can be 1 September or 9 January: write it like 1 September 2025." in refused
    form |= {"starts_on": "1 September 2025", "ends_on": "20/12/2025"}
    answer = staff.post(address, form | {"grace_days": 2, "late_after_hours": 48}, follow=True)

    course = Course.objects.get()
    assert course.time_zone == "Europe/Brussels"
    assert f"{course.starts_on} {course.ends_on}" == "2025-09-01 2025-12-20"
    assert answer.redirect_chain == [(f"/courses/{course.pk}/", 302)]
    for words in ("Import learners from a spreadsheet", "Install the five segments"):
        assert words in answer.text
    change = f"/admin/activity/course/{course.pk}/change/"
    assert f"/courses/{course.pk}/" in staff.get(change).text
