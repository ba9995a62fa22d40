"""What a course lacks for its first message is said, and nothing where it lacks nothing."""

from datetime import timedelta

import pytest

from activity.models import Course
from config.going_live import missing_for_messages
from interventions.models import Cadence, SitePause
from segmentation.models import Segment
from tests.factories import NOW, make_course
from tests.interventions.factories import make_any_segment, make_cadence, make_live_course

pytestmark = pytest.mark.django_db


@pytest.fixture
def course() -> Course:
    """Return a course that lacks nothing."""
    ready = make_live_course()
    make_cadence(segment=make_any_segment(ready))
    return ready


def missing(course: Course) -> list[str]:
    return missing_for_messages([course.key], now=NOW)[course.key]


def test_nothing_is_missing_where_all_is_set(course: Course) -> None:
    assert missing(course) == []


def test_a_course_that_is_only_imported_lacks_playbook_and_live_since() -> None:
    playbook, live = missing(make_course(key="biology-2026"))

    assert playbook.startswith("it is in no playbook: ")
    assert playbook.endswith("manage.py install_playbook five-segments --course biology-2026")
    assert live == 'its "live since" is empty: set it on the course\'s page in the admin'


def test_no_active_segment_and_no_active_cadence_are_said(course: Course) -> None:
    Cadence.objects.update(status="draft")
    assert missing(course) == [
        "no active cadence starts on one of its segments: make one in the admin"
    ]

    Segment.objects.update(status="archived")
    assert missing(course) == ["no segment of its playbooks is active"]


def test_a_cadence_on_a_segment_of_another_course_does_not_help() -> None:
    course = make_live_course()
    make_any_segment(course)
    make_cadence(segment=make_any_segment(make_live_course()))

    assert missing(course) == [
        "no active cadence starts on one of its segments: make one in the admin"
    ]


def test_live_later_over_paused_and_simulated_are_said(course: Course) -> None:
    course.live_since = NOW + timedelta(days=1)
    course.ends_on = NOW.date() - timedelta(days=1)
    course.save()
    SitePause.objects.update_or_create(id=1, defaults={"paused": True})
    assert [each.partition(":")[0] for each in missing(course)] == [
        'its "live since" is still to come',
        "it is over",
        "all sending is paused",
    ]

    course.clock_stopped_at = NOW
    course.save()
    assert [each.partition(":")[0] for each in missing(course)] == [
        "it is a simulated course whose clock has stopped"
    ]


def test_a_course_that_is_not_there_is_left_out() -> None:
    assert missing_for_messages(["nowhere"], now=NOW) == {}
