"""Events imported late after an outage send no mail in a live course."""

from datetime import timedelta

import pytest

from activity.models import Course
from activity.operations import ingest, save_course
from interventions.models import Delivery, Run
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_enrollment, make_event
from tests.interventions.factories import make_cadence, make_live_course
from tests.segmentation.factories import bring_up_to_date, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
OLD = NOW - 25 * DAY


@pytest.fixture
def course():
    course = make_live_course()
    Course.objects.filter(pk=course.pk).update(live_since=NOW - 29 * DAY)
    segment = make_segment(make_playbook(course), where("active_days", ">=", 1, window=30))
    make_cadence(segment=segment)
    return course


def run_stages():
    evaluate_due(now=NOW)
    react_due(now=NOW)
    plan_due(now=NOW)


def fill_in(course):
    learners = [make_enrollment(course) for _ in range(50)]
    bring_up_to_date()
    ingest([make_event(each, occurred_at=OLD) for each in learners], now=NOW)
    run_stages()


def test_learners_whose_events_come_in_25_days_late_are_not_mailed(course):
    fill_in(course)
    assert Run.objects.count() == Delivery.objects.count() == 0


def test_a_course_that_allows_late_events_mails_them(course):
    save_course({"key": course.key, "late_events_start": True}, now=NOW)
    fill_in(course)
    assert Delivery.objects.count() == 50
