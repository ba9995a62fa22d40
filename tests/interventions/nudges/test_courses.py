"""A nudge for a segment of several courses, some of which the user may not see."""

import pytest
from django.contrib.auth.models import User

from activity import access
from activity.models import Course, Learner
from interventions.forms.nudges import NudgeForms, offered_to
from tests.factories import NOW, act, make_enrollment
from tests.interventions.factories import make_live_course
from tests.interventions.nudges import test_pages
from tests.interventions.nudges.pages import HTMX, address, post, text_of, typed
from tests.journeys.test_main_path import run_stages

pytestmark = pytest.mark.django_db
clock, segment, staff = test_pages.clock, test_pages.segment, test_pages.staff


def test_learner_with_two_courses_in_the_segment_is_one_learner(staff, segment):
    other = make_live_course(title="Chemistry")
    segment.playbook.courses.add(other)
    act(make_enrollment(other, Learner.objects.first()))
    run_stages(NOW)

    whom = text_of(staff.post(address(), typed(segment, do=None), headers=HTMX))
    page = text_of(post(staff, segment))

    assert "<strong>3 learners are</strong> in it now: Learner" in whom
    assert "and others" not in whom
    assert f", {other})</option>" in whom
    assert "3 learners would get it, the first on" in page
    assert "Each of their courses counts by itself" in page
    assert "Each learner gets it once in each course." in page


def test_half_can_be_held_back_if_the_clock_of_any_course_runs_seen_or_not(
    staff, segment, monkeypatch
):
    mine = segment.playbook.courses.get()
    segment.playbook.courses.add(make_live_course(title="Hidden", locale="fr"))
    Course.objects.filter(pk=mine.pk).update(clock_stopped_at=NOW)
    seen = Course.objects.filter(pk=mine.pk)
    monkeypatch.setattr(access, "courses_of", lambda user: seen)

    page = text_of(post(staff, segment, hold_back="on"))

    assert "An experiment starts." in page
    assert "Hidden" not in page
    fields = NudgeForms(typed(segment, hold_back="on"), offered=offered_to(User.objects.get()))
    assert fields.are_valid()
    assert fields.fields().locales == ["en", "fr"]
