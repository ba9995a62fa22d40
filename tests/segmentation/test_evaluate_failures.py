"""Failing rules, silent feeds, and enrollments that cannot be evaluated."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from activity.models import Due, Enrollment
from activity.queries import FeedHealth
from segmentation.models import Segment, SegmentStatus
from segmentation.operations import thaw_segment
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast, make_course, make_enrollment
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    bring_up_to_date,
    due_at,
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


def test_a_rule_that_cannot_be_read_freezes_its_segment_alone():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    broken, sound = make_segment(playbook, QUIET), make_segment(playbook, QUIET)
    bring_up_to_date()
    Segment.objects.filter(id=broken.id).update(rule=where("charm", ">=", 7))
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    broken.refresh_from_db()
    assert broken.status == SegmentStatus.FROZEN
    assert "charm" in broken.error
    assert len(members(broken)) == 3
    assert transitions(broken) == []
    assert transitions(sound) == [("leave", "event", True)]


@pytest.mark.slow
def test_a_rule_that_fails_when_run_freezes_its_segment_alone():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    broken = make_segment(playbook, where("trait", "=", "Wales", key="region"))
    sound = make_segment(playbook, QUIET)
    with connection.cursor() as cursor:
        # The data of the rule is missing, which only running the rule shows.
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
    bring_up_to_date()
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
    bring_up_to_date()
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
    bring_up_to_date()
    week = NOW + timedelta(days=7)
    assert evaluate_due(now=week, health=silent).entered == 0
    assert transitions(segment) == []
    soon = week + timedelta(minutes=15)
    assert due_at(cast.bo) <= soon
    evaluate_due(now=soon, health=silent)
    assert due_at(cast.bo) == soon + timedelta(minutes=15)
    evaluate_due(now=soon + timedelta(minutes=15))
    assert transitions(segment) == [("enter", "time", True)]


def test_silent_feed_does_not_delay_events_and_manual_changes():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR, health=silent)
    assert transitions(segment) == [("leave", "event", True)]


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


def test_failing_enrollment_does_not_delay_the_others(refused_member):
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


def test_a_full_evaluation_says_how_many_failed(refused_member):
    course = make_course()
    segment = make_segment(make_playbook(course), QUIET)
    everybody = [make_enrollment(course, due_at=None) for _ in range(30)]
    refused_member(everybody[17])
    out, errors = StringIO(), StringIO()
    call_command("evaluate_segments", "--as-of", NOW.isoformat(), stdout=out, stderr=errors)
    assert out.getvalue().startswith("evaluated 29, entered 29, left 0\n")
    assert errors.getvalue().startswith("Enrollments not evaluated: 1. ")
    assert members(segment) == names(everybody) - {everybody[17].id}
    assert Due.objects.get(enrollment=everybody[17]).attempts == 1


def test_failed_enrollment_is_tried_again_and_the_error_is_cleared(refused_member):
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
