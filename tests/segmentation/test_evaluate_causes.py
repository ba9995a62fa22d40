"""The causes of entries and leavings, and whether they may start anything."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activity.models import DueCause
from activity.operations import pull_due, save_enrollment, save_item
from segmentation.models import Membership, Segment
from segmentation.operations import SegmentFields, add_courses, edit_segment
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast, make_course, make_enrollment, make_learner
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    bring_up_to_date,
    due_at,
    make_playbook,
    make_segment,
    members,
    names,
    transitions,
    where,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def set_rule(segment: Segment, rule: dict, **ticks: bool) -> Segment:
    segment.refresh_from_db()
    return edit_segment(segment.id, replace(SegmentFields.of(segment), rule=rule), now=NOW, **ticks)


def test_transitions_of_an_edit_start_nothing():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), where("modules_completed", ">=", 2))
    bring_up_to_date()
    set_rule(segment, QUIET)
    assert members(segment) == {cast.ana.id}, "memberships stay until they are evaluated again"
    evaluate_due(now=NOW)
    assert members(segment) == names([cast.ana, cast.bo, cast.cy])
    assert transitions(segment) == [("enter", "edit", False)] * 2
    assert Membership.objects.filter(segment=segment, version=2).count() == 2


def test_edit_does_not_change_the_cause_in_other_segments():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    edited, other = make_segment(playbook, ACTED_TODAY), make_segment(playbook, ACTED_TODAY)
    bring_up_to_date()
    set_rule(edited, where("active_days", ">=", 1, window=2))
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(edited) == [("enter", "edit", False)]
    assert transitions(other) == [("enter", "event", True)]


def test_after_an_edit_was_evaluated_events_are_causes_again():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    set_rule(segment, ACTED_TODAY)
    bring_up_to_date()
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("enter", "event", True)]


def test_an_edit_of_course_or_trait_starts_nothing():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    bring_up_to_date()
    act(cast.bo, occurred_at=NOW + HOUR)
    pull_due([cast.bo.id], at=NOW + HOUR, cause=DueCause.EDIT)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("enter", "edit", False)]


@pytest.mark.parametrize("ticked", [True, False])
def test_activation_starts_for_those_already_in_only_if_ticked(ticked):
    cast = make_cast()
    playbook = make_playbook(cast.course)
    bring_up_to_date()
    segment = make_segment(playbook, QUIET, include_present=ticked)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "baseline", ticked)] * 3


@pytest.mark.parametrize("ticked", [True, False])
def test_edit_starts_messages_for_new_members_only_if_ticked(ticked):
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), where("modules_completed", ">=", 2))
    bring_up_to_date()
    set_rule(segment, QUIET, include_present=ticked)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "edit", ticked)] * 2


def test_ticked_edit_starts_nothing_for_learners_who_leave():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    set_rule(segment, where("modules_completed", ">=", 2), include_present=True)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("leave", "edit", False)] * 2


def test_a_roster_imported_later_starts_nothing_even_where_it_was_ticked():
    course = make_course()
    segment = make_segment(make_playbook(course), QUIET, include_present=True)
    bring_up_to_date()
    make_enrollment(course)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "baseline", False)]


def test_a_course_added_later_starts_nothing_even_where_it_was_ticked():
    first, second = make_cast(), make_cast()
    playbook = make_playbook(first.course)
    bring_up_to_date()
    segment = make_segment(playbook, QUIET, include_present=True)
    bring_up_to_date()
    add_courses(playbook.id, [second.course.id])
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "baseline", False)] * 3


def test_a_course_linked_past_the_operations_starts_nothing_either():
    first, second = make_cast(), make_cast()
    playbook = make_playbook(first.course)
    segment = make_segment(playbook, QUIET)
    bring_up_to_date()
    playbook.courses.add(second.course)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "baseline", False)] * 3
    bring_up_to_date()
    act(second.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("leave", "event", True)]


def test_an_enrollment_that_starts_later_enters_by_time():
    course = make_course()
    segment = make_segment(make_playbook(course), where("modules_open", ">=", 0))
    late = make_enrollment(course, enrolled_at=NOW + DAY)
    bring_up_to_date()
    assert due_at(late) == NOW + DAY
    evaluate_due(now=NOW + DAY)
    assert transitions(segment) == [("enter", "time", True)]


def test_a_learner_enrolled_on_a_live_course_starts_nothing_but_acting_later_does():
    cast = make_cast(live_since=NOW)
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    bring_up_to_date()
    enrollment = save_enrollment(
        {"course": cast.course.key, "learner": make_learner().external_id, "enrolled_at": NOW},
        now=NOW,
    )
    act(enrollment, occurred_at=NOW)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "baseline", False)]
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment, cast.bo) == [("enter", "event", True)]


def test_an_item_due_on_another_day_starts_nothing():
    cast = make_cast(live_since=NOW)
    rule = where("activities_completed_rate", "<", 0.5, window=7)
    segment = make_segment(make_playbook(cast.course), rule)
    bring_up_to_date()
    assert members(segment) == set()
    owed_since_today = (NOW - timedelta(days=cast.course.grace_days)).date()
    values = {"course": cast.course.key, "key": cast.quizzes[0].key, "due_on": owed_since_today}
    save_item(values, now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert members(segment) == names([cast.bo, cast.cy])
    assert transitions(segment) == [("enter", "edit", False)] * 2
