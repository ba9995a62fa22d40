"""Leave rules, exclusive playbooks, archived segments and removed courses."""

from datetime import timedelta

import pytest

from activity.operations import pull_due
from segmentation.operations import archive_segment, remove_course, set_mode
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    bring_up_to_date,
    held_by,
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


def test_a_leave_rule_keeps_a_member_until_it_is_true():
    cast = make_cast()
    segment = make_segment(
        make_playbook(cast.course),
        ACTED_TODAY,
        leave_rule=where("days_since_activity", ">=", 3),
    )
    bring_up_to_date()
    act(cast.bo, occurred_at=NOW)
    bring_up_to_date()
    evaluate_due(now=NOW + 2 * DAY)
    assert members(segment) == {cast.bo.id}, "no longer active today, but not gone for three days"
    evaluate_due(now=NOW + 3 * DAY)
    assert members(segment) == set()


def test_nobody_enters_and_leaves_repeatedly_if_both_rules_are_true():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET, leave_rule=QUIET)
    for hour in range(3):
        pull_due([cast.bo.id], at=NOW + hour * HOUR)
        evaluate_due(now=NOW + hour * HOUR)
    assert transitions(segment) == []


def test_exclusive_playbook_uses_the_first_segment_that_matches():
    cast = make_cast()
    playbook = make_playbook(cast.course, exclusive=True)
    quiet = make_segment(playbook, QUIET, priority=20)
    acted = make_segment(playbook, ACTED_TODAY, priority=10)
    everybody = make_segment(playbook, where("logins", ">=", 0, window=7), priority=30)
    bring_up_to_date()
    assert held_by(cast.bo) == {quiet.id}
    act(cast.bo, occurred_at=NOW)
    evaluate_due(now=NOW)
    assert held_by(cast.bo) == {acted.id}
    evaluate_due(now=NOW + DAY)
    assert held_by(cast.bo) == {everybody.id}
    assert transitions(everybody) == [("enter", "time", True)]


def test_a_higher_segment_takes_a_member_from_a_lower_one():
    cast = make_cast()
    playbook = make_playbook(cast.course, exclusive=True)
    low = make_segment(playbook, where("logins", ">=", 0, window=7), priority=9)
    bring_up_to_date()
    high = make_segment(playbook, QUIET, priority=1)
    evaluate_due(now=NOW)
    assert (members(low), len(members(high))) == (set(), 3)
    # Learners who changed segments because of an edit are messaged in neither segment.
    assert set(transitions(low)) == {("leave", "edit", False)}
    assert set(transitions(high)) == {("enter", "baseline", False)}


def test_making_a_playbook_exclusive_starts_nothing():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    make_segment(playbook, QUIET, priority=1)
    low = make_segment(playbook, where("logins", ">=", 0, window=7), priority=9)
    bring_up_to_date()
    set_mode(playbook.id, "exclusive")
    evaluate_due(now=NOW)
    assert transitions(low) == [("leave", "edit", False)] * 3


def test_archiving_ends_memberships_and_starts_nothing():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    archive_segment(segment.id, now=NOW)
    evaluate_due(now=NOW + HOUR)
    assert members(segment) == set()
    assert transitions(segment) == [("leave", "edit", False)] * 3


def test_removing_a_course_ends_its_memberships_alone(django_capture_on_commit_callbacks):
    first, second = make_cast(), make_cast()
    playbook = make_playbook(first.course, second.course)
    segment = make_segment(playbook, QUIET)
    bring_up_to_date()
    with django_capture_on_commit_callbacks(execute=True):
        remove_course(playbook.id, second.course.id, now=NOW)
    evaluate_due(now=NOW + HOUR)
    assert members(segment) == names([first.ana, first.bo, first.cy])
    assert transitions(segment) == [("leave", "edit", False)] * 3
