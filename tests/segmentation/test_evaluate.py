"""Evaluation: who enters and leaves, why, and whether it may start anything."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import connection

from activity.models import Due, DueCause, Enrollment
from activity.operations import pull_due
from activity.queries import FeedHealth
from segmentation.models import Membership, Segment, SegmentStatus, Transition
from segmentation.operations import (
    SegmentFields,
    add_courses,
    archive_segment,
    edit_segment,
    evaluate_due,
    remove_course,
    set_mode,
    thaw_segment,
)
from tests.factories import NOW, act, make_cast, make_course, make_enrollment
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    due_at,
    held_by,
    make_playbook,
    make_segment,
    members,
    names,
    settle,
    transitions,
    where,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def set_rule(segment: Segment, rule: dict, **ticks: bool) -> Segment:
    segment.refresh_from_db()
    return edit_segment(segment.id, replace(SegmentFields.of(segment), rule=rule), now=NOW, **ticks)


def test_members_are_those_for_whom_the_rule_is_true():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), where("modules_completed", ">=", 2))
    counts = evaluate_due(now=NOW)
    assert (counts.evaluated, counts.entered, counts.left) == (3, 1, 0)
    assert members(segment) == {cast.ana.id}


def test_a_membership_keeps_version_and_signals_of_its_own_rule():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    segment = make_segment(playbook, where("modules_completed", ">=", 2))
    make_segment(playbook, where("logins", ">=", 0, window=7))
    evaluate_due(now=NOW)
    stay = Membership.objects.get(segment=segment)
    assert (stay.version, stay.signals) == (1, {"modules_completed_all": 2})
    assert (stay.entered_at, stay.left_at) == (NOW, None)


def test_an_unknown_signal_is_kept_as_null():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), where("quiz_pass_rate", "null"))
    evaluate_due(now=NOW)
    assert members(segment) == {cast.bo.id, cast.cy.id}
    assert Membership.objects.filter(segment=segment).first().signals == {
        "quiz_pass_rate_all": None
    }


def test_the_first_evaluation_is_a_baseline_that_starts_nothing():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    evaluate_due(now=NOW)
    assert set(transitions(segment)) == {("enter", "baseline", False)}
    assert len(transitions(segment)) == 3


def test_an_entry_that_starts_nothing_is_written_as_processed():
    cast = make_cast()
    make_segment(make_playbook(cast.course), QUIET)
    evaluate_due(now=NOW)
    assert not Transition.objects.filter(processed_at__isnull=True).exists()


def test_an_act_moves_by_an_event():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    acted, quiet = make_segment(playbook, ACTED_TODAY), make_segment(playbook, QUIET)
    settle()
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(acted) == [("enter", "event", True)]
    assert transitions(quiet) == [("leave", "event", True)]
    assert Transition.objects.filter(processed_at__isnull=True).count() == 2


def test_leavings_are_written_before_entries():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    make_segment(playbook, ACTED_TODAY, priority=1)
    make_segment(playbook, QUIET, priority=2)
    settle()
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    kinds = list(Transition.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["leave", "enter"]


def test_silence_moves_by_time_and_exactly_when_it_is_long_enough():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    act(cast.bo, occurred_at=NOW)
    settle()
    week = NOW + timedelta(days=7)
    assert due_at(cast.bo) == week
    assert evaluate_due(now=week - timedelta(seconds=1)).evaluated == 0
    evaluate_due(now=week)
    assert transitions(segment) == [("enter", "time", True)]


def test_an_edit_moves_without_starting_anything():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), where("modules_completed", ">=", 2))
    settle()
    set_rule(segment, QUIET)
    assert members(segment) == {cast.ana.id}, "memberships stay until they are evaluated again"
    evaluate_due(now=NOW)
    assert members(segment) == names([cast.ana, cast.bo, cast.cy])
    assert transitions(segment) == [("enter", "edit", False)] * 2
    assert Membership.objects.filter(segment=segment, version=2).count() == 2


def test_an_edit_does_not_change_why_other_segments_move():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    edited, other = make_segment(playbook, ACTED_TODAY), make_segment(playbook, ACTED_TODAY)
    settle()
    set_rule(edited, where("active_days", ">=", 1, window=2))
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(edited) == [("enter", "edit", False)]
    assert transitions(other) == [("enter", "event", True)]


def test_after_an_edit_was_met_things_move_by_events_again():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    settle()
    set_rule(segment, ACTED_TODAY)
    settle()
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("enter", "event", True)]


def test_an_edit_of_course_or_trait_starts_nothing():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    settle()
    act(cast.bo, occurred_at=NOW + HOUR)
    pull_due([cast.bo.id], at=NOW + HOUR, cause=DueCause.EDIT)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("enter", "edit", False)]


@pytest.mark.parametrize("ticked", [True, False])
def test_activation_starts_for_those_already_in_only_if_ticked(ticked):
    cast = make_cast()
    playbook = make_playbook(cast.course)
    settle()
    segment = make_segment(playbook, QUIET, include_present=ticked)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "baseline", ticked)] * 3


@pytest.mark.parametrize("ticked", [True, False])
def test_an_edit_starts_for_those_it_brings_in_only_if_ticked(ticked):
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), where("modules_completed", ">=", 2))
    settle()
    set_rule(segment, QUIET, include_present=ticked)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "edit", ticked)] * 2


def test_a_ticked_edit_starts_nothing_for_those_it_puts_out():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    settle()
    set_rule(segment, where("modules_completed", ">=", 2), include_present=True)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("leave", "edit", False)] * 2


def test_a_roster_imported_later_starts_nothing_even_where_it_was_ticked():
    course = make_course()
    segment = make_segment(make_playbook(course), QUIET, include_present=True)
    settle()
    make_enrollment(course)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "baseline", False)]


def test_a_course_added_later_starts_nothing_even_where_it_was_ticked():
    first, second = make_cast(), make_cast()
    playbook = make_playbook(first.course)
    settle()
    segment = make_segment(playbook, QUIET, include_present=True)
    settle()
    add_courses(playbook.id, [second.course.id])
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "baseline", False)] * 3


def test_a_course_linked_past_the_operations_starts_nothing_either():
    first, second = make_cast(), make_cast()
    playbook = make_playbook(first.course)
    segment = make_segment(playbook, QUIET)
    settle()
    playbook.courses.add(second.course)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "baseline", False)] * 3
    settle()
    act(second.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("leave", "event", True)]


def test_an_enrollment_that_starts_later_enters_by_time():
    course = make_course()
    segment = make_segment(make_playbook(course), where("modules_open", ">=", 0))
    late = make_enrollment(course, enrolled_at=NOW + DAY)
    settle()
    assert due_at(late) == NOW + DAY
    evaluate_due(now=NOW + DAY)
    assert transitions(segment) == [("enter", "time", True)]


@pytest.mark.parametrize("field", ["withdrew_at", "completed_at"])
def test_who_is_through_with_the_course_is_in_no_segment(field):
    course = make_course()
    segment = make_segment(make_playbook(course), QUIET)
    enrollment = make_enrollment(course, **{field: NOW + HOUR})
    settle()
    assert held_by(enrollment) == {segment.id}
    evaluate_due(now=NOW + HOUR)
    assert held_by(enrollment) == set()
    assert transitions(segment) == [("leave", "course_over", False)]
    assert due_at(enrollment) is None


def test_after_its_last_day_a_course_is_over():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    settle()
    evaluate_due(now=datetime.fromisoformat("2025-10-27T00:00:00+00:00"))
    assert transitions(segment) == [("leave", "course_over", False)] * 3


def test_a_leave_rule_keeps_a_member_until_it_is_true():
    cast = make_cast()
    segment = make_segment(
        make_playbook(cast.course),
        ACTED_TODAY,
        leave_rule=where("days_since_activity", ">=", 3),
    )
    settle()
    act(cast.bo, occurred_at=NOW)
    settle()
    evaluate_due(now=NOW + 2 * DAY)
    assert members(segment) == {cast.bo.id}, "no longer active today, but not gone for three days"
    evaluate_due(now=NOW + 3 * DAY)
    assert members(segment) == set()


def test_nobody_goes_in_and_out_where_both_rules_are_true():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET, leave_rule=QUIET)
    for hour in range(3):
        pull_due([cast.bo.id], at=NOW + hour * HOUR)
        evaluate_due(now=NOW + hour * HOUR)
    assert transitions(segment) == []


def test_an_exclusive_playbook_keeps_the_first_that_fits():
    cast = make_cast()
    playbook = make_playbook(cast.course, exclusive=True)
    quiet = make_segment(playbook, QUIET, priority=20)
    acted = make_segment(playbook, ACTED_TODAY, priority=10)
    everybody = make_segment(playbook, where("logins", ">=", 0, window=7), priority=30)
    settle()
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
    settle()
    high = make_segment(playbook, QUIET, priority=1)
    evaluate_due(now=NOW)
    assert (members(low), len(members(high))) == (set(), 3)
    # Those who were moved by somebody's edit are not messaged for it, in neither segment.
    assert set(transitions(low)) == {("leave", "edit", False)}
    assert set(transitions(high)) == {("enter", "baseline", False)}


def test_making_a_playbook_exclusive_starts_nothing():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    make_segment(playbook, QUIET, priority=1)
    low = make_segment(playbook, where("logins", ">=", 0, window=7), priority=9)
    settle()
    set_mode(playbook.id, "exclusive")
    evaluate_due(now=NOW)
    assert transitions(low) == [("leave", "edit", False)] * 3


def test_archiving_ends_memberships_and_starts_nothing():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    settle()
    archive_segment(segment.id, now=NOW)
    evaluate_due(now=NOW + HOUR)
    assert members(segment) == set()
    assert transitions(segment) == [("leave", "edit", False)] * 3


def test_removing_a_course_ends_its_memberships_alone(django_capture_on_commit_callbacks):
    first, second = make_cast(), make_cast()
    playbook = make_playbook(first.course, second.course)
    segment = make_segment(playbook, QUIET)
    settle()
    with django_capture_on_commit_callbacks(execute=True):
        remove_course(playbook.id, second.course.id, now=NOW)
    evaluate_due(now=NOW + HOUR)
    assert members(segment) == names([first.ana, first.bo, first.cy])
    assert transitions(segment) == [("leave", "edit", False)] * 3


def test_a_rule_that_cannot_be_read_freezes_its_segment_alone():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    broken, sound = make_segment(playbook, QUIET), make_segment(playbook, QUIET)
    settle()
    Segment.objects.filter(id=broken.id).update(rule=where("charm", ">=", 7))
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    broken.refresh_from_db()
    assert broken.status == SegmentStatus.FROZEN
    assert "charm" in broken.error
    assert len(members(broken)) == 3
    assert transitions(broken) == []
    assert transitions(sound) == [("leave", "event", True)]


def test_a_rule_that_fails_when_run_freezes_its_segment_alone():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    broken = make_segment(playbook, where("trait", "=", "Wales", key="region"))
    sound = make_segment(playbook, QUIET)
    with connection.cursor() as cursor:
        # What the rule reads is not there: a fault that only running it shows.
        cursor.execute("ALTER TABLE activity_learner RENAME COLUMN traits TO gone")
    counts = evaluate_due(now=NOW)
    broken.refresh_from_db()
    sound.refresh_from_db()
    assert (counts.evaluated, counts.entered) == (3, 3)
    assert (broken.status, sound.status) == (SegmentStatus.FROZEN, SegmentStatus.ACTIVE)
    assert "traits" in broken.error


def test_thawing_starts_nothing_for_what_changed_meanwhile():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    settle()
    Segment.objects.filter(id=segment.id).update(status=SegmentStatus.FROZEN, error="it failed")
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == []
    segment = thaw_segment(segment.id, now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert (segment.status, segment.error) == (SegmentStatus.ACTIVE, "")
    assert transitions(segment) == [("leave", "edit", False)]


def test_a_frozen_segment_keeps_its_place_in_an_exclusive_playbook():
    cast = make_cast()
    playbook = make_playbook(cast.course, exclusive=True)
    frozen = make_segment(playbook, QUIET, priority=20)
    make_segment(playbook, ACTED_TODAY, priority=10)
    settle()
    Segment.objects.filter(id=frozen.id).update(status=SegmentStatus.FROZEN)
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert held_by(cast.bo) == {frozen.id}


def silent(course, *, now):
    return FeedHealth(status="silent", since=now - DAY)


def test_a_silent_feed_makes_nobody_inactive():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    act(cast.bo, occurred_at=NOW)
    settle()
    week = NOW + timedelta(days=7)
    assert evaluate_due(now=week, health=silent).entered == 0
    assert transitions(segment) == []
    soon = week + timedelta(minutes=15)
    assert due_at(cast.bo) <= soon
    evaluate_due(now=soon, health=silent)
    assert due_at(cast.bo) == soon + timedelta(minutes=15)
    evaluate_due(now=soon + timedelta(minutes=15))
    assert transitions(segment) == [("enter", "time", True)]


def test_a_silent_feed_does_not_hold_up_what_events_and_people_do():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    settle()
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR, health=silent)
    assert transitions(segment) == [("leave", "event", True)]


def test_a_stopped_clock_holds_for_good():
    cast = make_cast(clock_stopped_at=NOW)
    segment = make_segment(make_playbook(cast.course), QUIET)
    years_later = NOW + timedelta(days=1000)
    evaluate_due(now=years_later)
    assert len(members(segment)) == 3
    assert set(Due.objects.values_list("due_at", "evaluated_at")) == {(None, NOW)}


def test_stored_instants_never_go_back():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    settle(NOW + HOUR)
    act(cast.bo, occurred_at=NOW)
    evaluate_due(now=NOW)
    assert Membership.objects.get(segment=segment).entered_at == NOW + HOUR
    assert Due.objects.get(enrollment=cast.bo).evaluated_at == NOW + HOUR


def test_a_course_without_segments_is_not_evaluated_again():
    enrollment = make_enrollment()
    assert evaluate_due(now=NOW).evaluated == 1
    assert due_at(enrollment) is None


def test_small_batches_evaluate_everybody_once():
    course = make_course()
    segment = make_segment(make_playbook(course), QUIET)
    everybody = [make_enrollment(course) for _ in range(7)]
    assert evaluate_due(now=NOW, batch=3).evaluated == 7
    assert members(segment) == names(everybody)


def test_only_one_course_is_evaluated_when_it_is_named():
    first, second = make_enrollment(), make_enrollment()
    evaluate_due(now=NOW, course_id=second.course_id)
    assert (due_at(first), due_at(second)) == (NOW, None)


def test_without_time_left_nothing_is_evaluated():
    enrollment = make_enrollment()
    assert evaluate_due(now=NOW, budget_seconds=0).evaluated == 0
    assert due_at(enrollment) == NOW


@pytest.fixture
def refused_member(db):
    """Return a function that makes PostgreSQL refuse every membership of an enrollment."""

    def refuse(enrollment: Enrollment) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE segmentation_membership"
                f" ADD CONSTRAINT refused CHECK (enrollment_id <> {enrollment.id}) NOT VALID"
            )

    return refuse


def test_one_enrollment_that_fails_does_not_hold_up_the_rest(refused_member):
    course = make_course()
    segment = make_segment(make_playbook(course), QUIET)
    everybody = [make_enrollment(course, due_at=NOW - HOUR) for _ in range(30)]
    unlucky = everybody[17]
    refused_member(unlucky)
    counts = evaluate_due(now=NOW)
    assert counts.evaluated == counts.entered == 29
    assert members(segment) == names(everybody) - {unlucky.id}
    due = Due.objects.get(enrollment=unlucky)
    assert (due.attempts, due.due_at) == (1, NOW + timedelta(seconds=30))
    assert "refused" in due.error


def test_after_a_failure_it_is_tried_again_and_the_error_goes(refused_member):
    course = make_course()
    make_segment(make_playbook(course), QUIET)
    enrollment = make_enrollment(course)
    refused_member(enrollment)
    evaluate_due(now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE segmentation_membership DROP CONSTRAINT refused")
    assert evaluate_due(now=NOW + HOUR).entered == 1
    due = Due.objects.get(enrollment=enrollment)
    assert (due.attempts, due.error) == (0, "")


def test_the_number_of_queries_does_not_grow_with_the_batch(django_assert_num_queries):
    course = make_course()
    playbook = make_playbook(course)
    make_segment(playbook, QUIET)
    make_segment(playbook, ACTED_TODAY)
    evaluate_due(now=NOW)
    for _ in range(50):
        make_enrollment(course)
    with django_assert_num_queries(14):
        assert evaluate_due(now=NOW).evaluated == 50
