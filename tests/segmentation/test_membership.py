"""Manual members, the outbox, and constraints of the database."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from segmentation.models import Membership, Override, SegmentStatus, Transition
from segmentation.operations import (
    SegmentationError,
    add_member,
    announce_members,
    archive_segment,
    clear_override,
    fail_transitions,
    mark_processed,
    remove_member,
)
from segmentation.queries import enrollments_to_react, open_transitions
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast, make_course, make_enrollment
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
SECOND = timedelta(seconds=1)


def test_learner_added_by_hand_is_a_member_regardless_of_the_rule():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    bring_up_to_date()
    add_member(segment.id, cast.bo.id, now=NOW)
    evaluate_due(now=NOW)
    evaluate_due(now=NOW + 2 * DAY)
    assert members(segment) == {cast.bo.id}
    assert transitions(segment) == [("enter", "manual", True)]


def test_learner_removed_by_hand_is_no_member_regardless_of_the_rule():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    remove_member(segment.id, cast.bo.id, now=NOW)
    evaluate_due(now=NOW)
    evaluate_due(now=NOW + 2 * DAY)
    assert members(segment) == names([cast.ana, cast.cy])
    assert transitions(segment) == [("leave", "manual", True)]


def test_latest_manual_change_counts():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    remove_member(segment.id, cast.bo.id, now=NOW)
    evaluate_due(now=NOW)
    add_member(segment.id, cast.bo.id, now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("leave", "manual", True), ("enter", "manual", True)]
    assert Override.objects.count() == 1


def test_manual_change_is_applied_once():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    bring_up_to_date()
    remove_member(segment.id, cast.bo.id, now=NOW)
    evaluate_due(now=NOW + HOUR)
    assert Override.objects.get().applied_at == NOW + HOUR


def test_after_clearing_an_override_the_rule_decides_and_starts_nothing():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    remove_member(segment.id, cast.bo.id, now=NOW)
    bring_up_to_date()
    assert clear_override(segment.id, cast.bo.id, now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("enter", "edit", False)]
    assert not clear_override(segment.id, cast.bo.id, now=NOW + HOUR)


def test_nobody_is_added_to_a_course_that_is_over_for_them():
    course = make_course()
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    withdrawn = make_enrollment(course, withdrew_at=NOW)
    add_member(segment.id, withdrawn.id, now=NOW)
    evaluate_due(now=NOW)
    assert held_by(withdrawn) == set()


def test_manual_change_moves_a_member_from_a_lower_segment_of_an_exclusive_playbook():
    cast = make_cast()
    playbook = make_playbook(cast.course, exclusive=True)
    high = make_segment(playbook, ACTED_TODAY, priority=1)
    low = make_segment(playbook, QUIET, priority=9)
    bring_up_to_date()
    add_member(high.id, cast.bo.id, now=NOW)
    evaluate_due(now=NOW)
    assert held_by(cast.bo) == {high.id}
    assert transitions(low) == [("leave", "manual", True)]


def test_nobody_is_added_to_a_segment_that_is_not_kept():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET, active=False)
    with pytest.raises(SegmentationError, match="is not active"):
        add_member(segment.id, cast.bo.id, now=NOW)


def test_nobody_is_added_to_a_segment_of_another_course():
    cast = make_cast()
    segment = make_segment(make_playbook(make_course()), QUIET)
    with pytest.raises(SegmentationError, match="not kept for that course"):
        add_member(segment.id, cast.bo.id, now=NOW)


def test_archived_segment_ends_manual_membership_and_keeps_its_history():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    bring_up_to_date()
    add_member(segment.id, cast.bo.id, now=NOW)
    evaluate_due(now=NOW)
    archive_segment(segment.id, now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    segment.refresh_from_db()
    assert segment.status == SegmentStatus.ARCHIVED
    stay = Membership.objects.get()
    assert (stay.entered_at, stay.left_at) == (NOW, NOW + HOUR)


def test_two_current_memberships_are_refused():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    values = {"segment": segment, "enrollment": cast.bo, "entered_at": NOW, "version": 1}
    Membership.objects.create(**values, left_at=NOW)
    Membership.objects.create(**values)
    with pytest.raises(IntegrityError, match="membership_one_current"), transaction.atomic():
        Membership.objects.create(**values)


def make_moves():
    """Return Bo after leaving one segment and entering another, with both transitions open."""
    cast = make_cast()
    playbook = make_playbook(cast.course)
    make_segment(playbook, ACTED_TODAY)
    make_segment(playbook, QUIET)
    bring_up_to_date()
    act(cast.bo, occurred_at=NOW)
    evaluate_due(now=NOW)
    return cast.bo


def test_open_transitions_are_in_order_and_enrollments_occur_once(django_assert_num_queries):
    bo = make_moves()
    with django_assert_num_queries(2):
        assert enrollments_to_react(now=NOW, limit=10).enrollment_ids == [bo.id]
        assert [move.kind for move in open_transitions([bo.id])] == ["leave", "enter"]


def test_processed_transition_is_not_returned_again():
    bo = make_moves()
    mark_processed([move.id for move in open_transitions([bo.id])], now=NOW)
    assert enrollments_to_react(now=NOW, limit=10).enrollment_ids == []
    assert set(Transition.objects.values_list("processed_at", flat=True)) == {NOW}


def test_each_failure_delays_longer_up_to_an_hour():
    bo = make_moves()
    ids = [move.id for move in open_transitions([bo.id])]
    waits = []
    for _ in range(9):
        fail_transitions(ids, now=NOW, error="no such cadence")
        waits.append((Transition.objects.get(id=ids[0]).next_attempt_at - NOW) / SECOND)
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert enrollments_to_react(now=NOW + HOUR - SECOND, limit=10).enrollment_ids == []
    assert enrollments_to_react(now=NOW + HOUR, limit=10).enrollment_ids == [bo.id]
    assert {move.error for move in open_transitions([bo.id])} == {"no such cadence"}


def test_delayed_transitions_do_not_block_the_queue():
    first, second = make_moves(), make_moves()
    fail_transitions([move.id for move in open_transitions([first.id])], now=NOW, error="x")
    assert enrollments_to_react(now=NOW, limit=1).enrollment_ids == [second.id]


def test_present_members_are_announced_once():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    assert announce_members(segment.id, now=NOW) == 3
    assert announce_members(segment.id, now=NOW) == 0, "they wait already"
    assert transitions(segment) == [("enter", "baseline", True)] * 3


def test_learner_who_has_left_is_not_announced():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    act(cast.bo, occurred_at=NOW)
    evaluate_due(now=NOW)
    assert announce_members(segment.id, now=NOW) == 2
    assert transitions(segment, cast.bo) == [("leave", "event", True)]


def test_signals_of_many_conditions_are_all_kept():
    cast = make_cast()
    parts = [where("logins", ">=", 0, window=days)["rules"][0] for days in range(1, 121)]
    rule = {"combinator": "and", "rules": parts}
    segment = make_segment(make_playbook(cast.course), rule)
    evaluate_due(now=NOW)
    kept = Membership.objects.filter(segment=segment).first().signals
    assert len(kept) == 120


def test_deleting_an_enrollment_deletes_its_rows():
    cast = make_cast()
    make_segment(make_playbook(cast.course), QUIET)
    evaluate_due(now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cast.cy.delete()
    assert not Transition.objects.filter(enrollment_id=cast.cy.id).exists()
