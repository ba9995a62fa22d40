"""Readiness names everything that a course lacks for its first message."""

from datetime import time, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from activity.models import Course
from config.readiness import readiness_of
from interventions.models import Cadence, SitePause
from interventions.operations import save_quiet_hours
from interventions.queries.guards import NO_CAP
from segmentation.models import Segment
from tests.factories import NOW, make_course
from tests.interventions.factories import make_any_segment, make_cadence, make_live_course

pytestmark = pytest.mark.django_db


@pytest.fixture
def course() -> Course:
    """Return a complete course."""
    ready = make_live_course()
    make_cadence(segment=make_any_segment(ready))
    return ready


def missing(course: Course) -> list[str]:
    return readiness_of([course.key], now=NOW)[course.key].missing


def test_nothing_is_missing_in_a_complete_course(course: Course) -> None:
    assert missing(course) == []


def test_a_course_that_is_only_imported_lacks_playbook_and_live_since() -> None:
    playbook, live = missing(make_course(key="biology-2026"))

    assert playbook.startswith("it has no playbook: ")
    assert playbook.endswith("manage.py install_playbook five-segments --course biology-2026")
    assert live == 'it is not live: press “Go live” on its page, or set its "live since"'


def test_missing_active_segment_and_cadence_are_named(course: Course) -> None:
    Cadence.objects.update(status="draft")
    assert missing(course) == [
        "no active cadence starts on one of its segments: start a nudge, or make a cadence"
    ]

    Segment.objects.update(status="archived")
    assert missing(course) == ["no segment of its playbooks is active"]


def test_paused_cadences_send_nothing(course: Course) -> None:
    Cadence.objects.update(paused=True)
    assert missing(course) == [
        "all cadences that start on its segments are paused: resume one on its page"
    ]

    make_cadence(segment=Segment.objects.get())
    assert missing(course) == []


def test_a_cadence_on_a_segment_of_another_course_does_not_help() -> None:
    course = make_live_course()
    make_any_segment(course)
    make_cadence(segment=make_any_segment(make_live_course()))

    assert missing(course) == [
        "no active cadence starts on one of its segments: start a nudge, or make a cadence"
    ]


def test_future_finished_paused_and_simulated_courses_are_named(course: Course) -> None:
    course.live_since = NOW + timedelta(days=1)
    course.ends_on = NOW.date() - timedelta(days=1)
    course.save()
    SitePause.objects.update_or_create(id=1, defaults={"paused": True})
    assert [each.partition(":")[0] for each in missing(course)] == [
        'its "live since" is in the future',
        "it is over",
        "all sending is paused; resume it under “Hold all messages”",
    ]

    course.clock_stopped_at = NOW
    course.save()
    assert [each.partition(":")[0] for each in missing(course)] == [
        "it is a simulated course whose clock has stopped, so its learners get no messages"
    ]


def test_course_page_shows_the_guards_when_it_goes_live(client, course: Course) -> None:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    save_quiet_hours(begins=time(21), ends=time(8))
    form = {
        "key": course.key,
        "title": course.title,
        "time_zone": course.time_zone,
        "locale": "en",
        "starts_on": "2025-09-01",
        "ends_on": "2199-10-20",
        "pass_mark": "0.5",
        "live_since_0": "2025-09-30",
        "live_since_1": "08:00",
        "late_after_hours": "48",
        "grace_days": "2",
    }
    address = reverse("admin:activity_course_change", args=(course.pk,))

    response = client.post(address, form, follow=True)

    said = [str(message) for message in response.context["messages"]]
    assert said[0] == (
        "Guards that apply to its messages: Nothing between 21:00 and 08:00, by the learner's own "
        "clock."
    )
    assert said[1] == f"Missing: {NO_CAP}."
    # Saving again without a change of "live since" shows nothing.
    again = client.post(address, form, follow=True)
    assert len(list(again.context["messages"])) == 1


def test_an_unknown_course_is_left_out() -> None:
    assert readiness_of(["nowhere"], now=NOW) == {}
