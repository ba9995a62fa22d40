"""The steps of a new course on its page, and the button that takes it live."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from activity.models import Course
from activity.operations import go_live
from config.setup import steps_of
from config.views.results import season_sentence
from interventions.models import Cadence
from tests.factories import NOW, make_course, make_enrollment, make_item
from tests.interventions.factories import make_any_segment, make_cadence, make_live_course

pytestmark = pytest.mark.django_db


def log_in(client: Client, *rights: str) -> Client:
    user = get_user_model().objects.create_user("marta", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


def to_do(course: Course) -> list[str]:
    return [step.name for step in steps_of(course, now=NOW) if step.todo]


def test_steps_of_a_new_course_come_in_their_order_and_go_one_by_one() -> None:
    course = make_course()
    assert to_do(course) == ["learners", "items", "segments", "live", "nudge"]

    make_enrollment(course)
    make_item(course, "module")
    assert "It has no quizzes yet." in steps_of(course, now=NOW)[1].todo
    make_item(course, "quiz")
    segment = make_any_segment(course)
    assert to_do(course) == ["live", "nudge"]

    cadence = make_cadence(segment=segment, status="draft")
    step = steps_of(course, now=NOW)[-1]
    assert (step.drafts, "1 draft waits to be read" in step.todo) == (1, True)
    Cadence.objects.filter(pk=cadence.pk).update(status="active")
    assert go_live(course, now=NOW)
    course.refresh_from_db()
    assert to_do(course) == []


def test_course_that_sends_still_says_that_its_segments_have_no_quizzes(client: Client) -> None:
    course = make_live_course(ends_on="2199-01-01")
    make_enrollment(course)
    make_cadence(segment=make_any_segment(course))

    page = log_in(client, "view_course").get(f"/courses/{course.pk}/").text

    assert "It has no modules and no quizzes yet." in page
    assert "Still to do" in page
    assert "No message goes out yet" not in page
    Cadence.objects.update(status="draft")
    assert "No message goes out yet" in client.get(f"/courses/{course.pk}/").text


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({"starts_on": "2025-10-06"}, "The course begins on Monday 6 October 2025."),
        ({"ends_on": "2025-09-26"}, "The course is over: its last day was Friday 26 September"),
        ({}, ""),
    ],
    ids=["before", "after", "now"],
)
def test_course_out_of_its_days_says_why_it_counts_no_learners(
    days: dict[str, str], words: str
) -> None:
    course = make_live_course(**days)
    course.refresh_from_db()

    said = season_sentence(course, as_of=NOW)

    assert said.startswith(words)
    assert bool(said) is bool(words)


def test_course_goes_live_once_and_neither_back_nor_when_simulated() -> None:
    course = make_course(live_since=NOW + timedelta(days=9))
    assert go_live(course, now=NOW)
    assert not go_live(course, now=NOW + timedelta(hours=1))
    assert Course.objects.get().live_since == NOW

    assert not go_live(make_course(clock_stopped_at=NOW), now=NOW)


def test_button_takes_the_course_live_and_is_kept_in_its_history(client: Client) -> None:
    course = make_course(title="Biology")
    staff = log_in(client, "view_course", "change_course", "send_messages")
    address = f"/courses/{course.pk}/live/"
    assert address in staff.get(f"/courses/{course.pk}/").text

    answer = staff.post(address, follow=True).text
    assert "Biology is live. Learners who enter a segment from now on" in answer
    assert address not in answer
    staff.post(address)
    assert LogEntry.objects.get().object_repr == "Biology"


def test_staff_without_the_right_to_send_read_that_somebody_else_takes_it_live(
    client: Client,
) -> None:
    course = make_course()
    staff = log_in(client, "view_course", "change_course")

    page = staff.get(f"/courses/{course.pk}/").text
    assert "Somebody with the right" in page
    assert "The course is over: its last day was" in page
    assert staff.post(f"/courses/{course.pk}/live/").status_code == 403
    assert Course.objects.get().live_since is None
