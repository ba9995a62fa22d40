"""Entries caused only by time: counted together, held, let in or discarded."""

import logging
from datetime import timedelta

import pytest

from activity.models import Due
from activity.operations import ingest
from segmentation.models import Surge, SurgeState, Transition, WaitingEntry
from segmentation.operations import (
    SegmentationError,
    add_member,
    announce_members,
    decide_entries,
    discard_surge,
    evaluate_courses,
    let_in_surge,
)
from segmentation.proof import prove_course
from segmentation.queries import open_transitions
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_course, make_enrollment, make_event
from tests.segmentation.factories import (
    QUIET,
    bring_up_to_date,
    make_playbook,
    make_segment,
    members,
    transitions,
    where,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = 7 * DAY
HELD = ("enter", "time", False)
LET_IN = ("enter", "time", True)


def make_class(quiet, others, *, live=True):
    """Return a segment of inactive learners, which `quiet` learners enter at NOW + WEEK, and all.

    The others stay active.
    """
    course = make_course(live_since=NOW - 20 * DAY if live else None)
    segment = make_segment(make_playbook(course), QUIET)
    everybody = [make_enrollment(course) for _ in range(quiet + others)]
    act_all(everybody, NOW)
    bring_up_to_date(NOW)
    act_all(everybody[quiet:], NOW + 6 * DAY)
    bring_up_to_date(NOW + 6 * DAY)
    return segment, everybody


def act_all(enrollments, at, verb="LOGIN"):
    ingest([make_event(one, verb, occurred_at=at) for one in enrollments], now=at)


def held():
    return list(Surge.objects.filter(state=SurgeState.HELD))


def started(segment):
    """Return the enrollments whose entries react can process."""
    return {
        each.enrollment_id
        for each in open_transitions(members(segment))
        if each.starts and each.segment_id == segment.id
    }


def test_more_than_a_quarter_at_once_are_members_but_nothing_starts(caplog):
    segment, everybody = make_class(24, 24)
    with caplog.at_level(logging.WARNING, logger="segmentation"):
        evaluate_due(now=NOW + WEEK)
    assert members(segment) == {one.id for one in everybody[:24]}
    assert transitions(segment) == [HELD] * 24
    assert started(segment) == set()
    (surge,) = held()
    assert (surge.entered, surge.of, surge.day) == (24, 48, (NOW + WEEK).date())
    (record,) = caplog.records
    assert "24 of 48" in record.getMessage()


@pytest.mark.parametrize(
    ("quiet", "others"), [(20, 0), (21, 63)], ids=["twenty", "a quarter exactly"]
)
def test_few_or_a_small_share_start_at_once(quiet, others):
    segment, _ = make_class(quiet, others)
    evaluate_due(now=NOW + WEEK)
    assert transitions(segment) == [LET_IN] * quiet
    assert len(started(segment)) == quiet
    assert held() == []
    assert not WaitingEntry.objects.exists()


def test_first_batches_wait_too():
    segment, _ = make_class(24, 24)
    evaluate_due(now=NOW + WEEK, batch_size=5)
    assert started(segment) == set()
    assert held()[0].entered == 24


def test_entries_wait_while_somebody_of_their_instant_is_still_due():
    segment, everybody = make_class(24, 24)
    evaluate_courses([segment.playbook.courses.get()], as_of=NOW + WEEK)
    Surge.objects.all().delete()
    WaitingEntry.objects.update(is_counted=False)
    # As if no worker had evaluated this one yet.
    Due.objects.filter(pk=everybody[-1].pk).update(due_at=NOW + WEEK)
    decide_entries(now=NOW + WEEK)
    assert not Surge.objects.exists()
    Due.objects.filter(pk=everybody[-1].pk).update(due_at=NOW + WEEK + HOUR)
    decide_entries(now=NOW + WEEK)
    assert len(held()) == 1


def test_entries_by_acts_and_by_hand_are_not_held():
    segment, everybody = make_class(24, 24)
    here = make_segment(segment.playbook, where("video_plays", ">=", 1, window=1))
    bring_up_to_date(NOW + 6 * DAY + HOUR)
    act_all(everybody[24:], NOW + WEEK, "PLAY_VIDEO")
    add_member(segment.id, everybody[25].id, now=NOW + WEEK)
    evaluate_due(now=NOW + WEEK)
    assert transitions(here) == [("enter", "event", True)] * 24
    assert transitions(segment, everybody[25]) == [("enter", "manual", True)]
    assert transitions(segment, everybody[0]) == [HELD]


def test_entries_of_one_local_day_are_counted_together():
    segment, everybody = make_class(24, 24)
    act_all(everybody[12:24], NOW + HOUR)
    bring_up_to_date(NOW + HOUR)
    evaluate_due(now=NOW + WEEK)
    assert transitions(segment) == [LET_IN] * 12
    evaluate_due(now=NOW + WEEK + HOUR)
    assert transitions(segment) == [LET_IN] * 12 + [HELD] * 12
    assert held()[0].entered == 24


def test_count_starts_again_on_the_next_day():
    segment, everybody = make_class(24, 24)
    act_all(everybody[12:24], NOW + DAY)
    bring_up_to_date(NOW + DAY)
    evaluate_due(now=NOW + WEEK)
    evaluate_due(now=NOW + WEEK + DAY)
    assert transitions(segment) == [LET_IN] * 24


def test_released_entries_start_and_so_do_others_of_that_day():
    segment, everybody = make_class(24, 24)
    act_all(everybody[21:24], NOW + HOUR)
    bring_up_to_date(NOW + HOUR)
    evaluate_due(now=NOW + WEEK)
    let_in_surge(held()[0].id, now=NOW + WEEK)
    evaluate_due(now=NOW + WEEK)
    assert transitions(segment) == [LET_IN] * 21
    assert len(started(segment)) == 21
    evaluate_due(now=NOW + WEEK + HOUR)
    assert len(started(segment)) == 24
    assert not WaitingEntry.objects.exists()


def test_discarded_entries_stay_members_and_start_nothing():
    segment, _ = make_class(24, 24)
    evaluate_due(now=NOW + WEEK)
    discard_surge(held()[0].id, now=NOW + WEEK)
    evaluate_due(now=NOW + WEEK)
    assert len(members(segment)) == 24
    assert started(segment) == set()
    assert not WaitingEntry.objects.exists()
    assert transitions(segment) == [HELD] * 24


@pytest.mark.parametrize("decide", [let_in_surge, discard_surge])
def test_a_surge_is_decided_once(decide):
    make_class(24, 24)
    evaluate_due(now=NOW + WEEK)
    (surge,) = held()
    let_in_surge(surge.id, now=NOW + WEEK)
    with pytest.raises(SegmentationError, match="decided this already"):
        decide(surge.id, now=NOW + WEEK)


def test_learner_who_left_meanwhile_is_not_released():
    segment, everybody = make_class(24, 24)
    evaluate_due(now=NOW + WEEK)
    act(everybody[0], occurred_at=NOW + WEEK + HOUR)
    evaluate_due(now=NOW + WEEK + HOUR)
    assert WaitingEntry.objects.count() == 23
    let_in_surge(held()[0].id, now=NOW + WEEK + 2 * HOUR)
    evaluate_due(now=NOW + WEEK + 2 * HOUR)
    assert everybody[0].id not in started(segment)
    assert transitions(segment, everybody[0]) == [HELD, ("leave", "event", True)]
    assert len(started(segment)) == 23


def test_in_a_course_that_is_not_live_nothing_is_counted():
    segment, _ = make_class(24, 24, live=False)
    evaluate_due(now=NOW + WEEK)
    assert transitions(segment) == [LET_IN] * 24
    assert not WaitingEntry.objects.exists()
    assert not Surge.objects.exists()


def test_starting_experiment_does_not_announce_waiting_entries():
    segment, everybody = make_class(24, 24)
    evaluate_due(now=NOW + WEEK)
    add_member(segment.id, everybody[-1].id, now=NOW + WEEK)
    evaluate_due(now=NOW + WEEK)
    Transition.objects.filter(starts=True).delete()
    assert announce_members(segment.id, now=NOW + WEEK) == 1


@pytest.mark.slow
def test_a_course_with_a_surge_can_be_proved():
    segment, _ = make_class(24, 24)
    course = segment.playbook.courses.get()
    proof = prove_course(course, as_of=NOW + WEEK)
    assert proof.difference is None
    assert not WaitingEntry.objects.exists()


def test_deciding_without_waiting_entries_takes_two_queries(django_assert_num_queries):
    make_class(1, 0)
    with django_assert_num_queries(2):
        decide_entries(now=NOW)
