"""Late events cause transitions that start nothing."""

from datetime import timedelta

import pytest

from activity.models import Course, Due
from activity.operations import ingest, save_course
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_course, make_enrollment, make_event, make_item
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    bring_up_to_date,
    make_playbook,
    make_segment,
    transitions,
    where,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ACTED_THIS_MONTH = where("active_days", ">=", 1, window=30)
TRIED_A_QUIZ = where("quiz_attempts", ">=", 1, window=30)
TOOK_QUIZZES = where("quiz_attempts", ">=", 2, window=30)


@pytest.fixture
def course():
    return make_course(live_since=NOW - 20 * DAY)


@pytest.fixture
def learner(course):
    return make_enrollment(course)


def segment_of(course, rule=ACTED_THIS_MONTH, **fields):
    segment = make_segment(make_playbook(course), rule, **fields)
    bring_up_to_date()
    return segment


def tell(enrollment, *instants, now=NOW, verb="LOGIN", **fields):
    """Ingest the events together at `now`."""
    events = [make_event(enrollment, verb, occurred_at=at, **fields) for at in instants]
    assert ingest(events, now=now).stored == len(events)


def test_transition_of_an_event_25_days_old_starts_nothing(course, learner):
    segment = segment_of(course)
    tell(learner, NOW - 25 * DAY)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "late", False)]


@pytest.mark.parametrize(
    ("age", "cause", "starts"),
    [(48 * HOUR, "event", True), (48 * HOUR + timedelta(microseconds=1), "late", False)],
)
def test_an_event_is_late_from_48_hours_on(course, learner, age, cause, starts):
    segment = segment_of(course)
    tell(learner, NOW - age)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", cause, starts)]


def test_course_sets_its_own_limit_for_late_events(course, learner):
    save_course({"key": course.key, "late_after_hours": 24}, now=NOW)
    segment = segment_of(course)
    tell(learner, NOW - 25 * HOUR)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "late", False)]


def test_a_course_may_let_late_events_start_messages(course, learner):
    save_course({"key": course.key, "late_events_start": True}, now=NOW)
    segment = segment_of(course)
    tell(learner, NOW - 25 * DAY)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "late", True)]


def test_learner_who_leaves_because_of_late_events_has_the_cause_late(course, learner):
    act(learner, occurred_at=NOW - 12 * DAY)
    segment = segment_of(course, QUIET)
    tell(learner, NOW - 3 * DAY)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("leave", "late", False)]


@pytest.mark.parametrize("first", ["late", "fresh"])
def test_late_and_recent_acts_received_together_have_separate_causes(course, learner, first):
    quizzes, today = segment_of(course, TRIED_A_QUIZ), segment_of(course, ACTED_TODAY)
    month = segment_of(course)
    acts = [(NOW - 25 * DAY, "ATTEMPT_QUIZ"), (NOW - HOUR, "LOGIN")]
    for at, verb in acts if first == "late" else reversed(acts):
        tell(learner, at, verb=verb, now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(quizzes) == [("enter", "late", False)]
    assert transitions(today) == [("enter", "event", True)]
    assert transitions(month) == [("enter", "event", True)], "the fresh one alone would have done"


def test_transition_that_needs_late_and_recent_acts_has_the_cause_event(course, learner):
    segment = segment_of(course, TOOK_QUIZZES)
    item = make_item(course, "quiz")
    bring_up_to_date()
    tell(learner, NOW - 25 * DAY, NOW - HOUR, verb="ATTEMPT_QUIZ", item=item)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "event", True)]


def test_a_fresh_act_after_the_late_ones_were_evaluated_starts(course, learner):
    segment = segment_of(course, ACTED_TODAY)
    tell(learner, NOW - 25 * DAY)
    evaluate_due(now=NOW)
    act(learner, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("enter", "event", True)]


def test_later_transition_by_time_starts_although_the_last_act_was_late(course, learner):
    act(learner, occurred_at=NOW - 6 * DAY)
    segment = segment_of(course, QUIET)
    tell(learner, NOW - 5 * DAY)
    evaluate_due(now=NOW)
    assert transitions(segment) == []
    evaluate_due(now=NOW + 2 * DAY)
    assert transitions(segment) == [("enter", "time", True)]


def test_transition_by_time_pending_when_late_events_arrive_still_starts(course, learner):
    act(learner, occurred_at=NOW - 7 * DAY + HOUR)
    segment = segment_of(course, QUIET)
    tell(learner, NOW - 20 * DAY, now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("enter", "time", True)]


def test_a_late_event_that_is_known_already_changes_nothing(course, learner):
    segment = segment_of(course, ACTED_TODAY)
    old = make_event(learner, occurred_at=NOW - 25 * DAY)
    ingest([old], now=NOW)
    evaluate_due(now=NOW)
    ingest([old, make_event(learner, occurred_at=NOW)], now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert transitions(segment) == [("enter", "event", True)]


def test_in_an_exclusive_playbook_each_move_has_the_cause_that_brought_it_about(course, learner):
    playbook = make_playbook(course, exclusive=True)
    today = make_segment(playbook, ACTED_TODAY, priority=1)
    month = make_segment(playbook, ACTED_THIS_MONTH, priority=2)
    bring_up_to_date()
    tell(learner, NOW - 25 * DAY, NOW - HOUR)
    evaluate_due(now=NOW)
    assert transitions(today) == [("enter", "event", True)]
    assert transitions(month) == []


def test_late_event_before_the_course_is_live_has_the_cause_late(learner, course):
    Course.objects.filter(pk=course.pk).update(live_since=None)
    segment = segment_of(course)
    tell(learner, NOW - 25 * DAY)
    evaluate_due(now=NOW)
    assert transitions(segment) == [("enter", "late", False)]


def test_evaluation_resets_the_note_of_late_events(course, learner):
    segment_of(course)
    tell(learner, NOW - 25 * DAY)
    assert Due.objects.get(pk=learner.pk).late_since == NOW
    evaluate_due(now=NOW)
    assert Due.objects.get(pk=learner.pk).late_since is None
