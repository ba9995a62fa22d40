"""Evaluation: entries and leavings, their instants, and the number of queries."""

from datetime import datetime, timedelta

import pytest

from activity.models import Due
from segmentation.models import Membership, Transition
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast, make_course, make_enrollment
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    bring_up_to_date,
    due_at,
    held_by,
    identity,
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
    assert (stay.version, stay.signals) == (1, {identity("modules_completed"): 2})
    assert (stay.entered_at, stay.left_at) == (NOW, None)


def test_an_unknown_signal_is_kept_as_null():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), where("quiz_pass_rate", "null"))
    evaluate_due(now=NOW)
    assert members(segment) == {cast.bo.id, cast.cy.id}
    assert Membership.objects.filter(segment=segment).first().signals == {
        identity("quiz_pass_rate"): None
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


def test_act_causes_a_transition_with_the_cause_event():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    acted, quiet = make_segment(playbook, ACTED_TODAY), make_segment(playbook, QUIET)
    bring_up_to_date()
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
    bring_up_to_date()
    act(cast.bo, occurred_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    kinds = list(Transition.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["leave", "enter"]


def test_inactivity_causes_a_transition_by_time_at_the_exact_instant():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    act(cast.bo, occurred_at=NOW)
    bring_up_to_date()
    week = NOW + timedelta(days=7)
    assert due_at(cast.bo) == week
    assert evaluate_due(now=week - timedelta(seconds=1)).evaluated == 0
    evaluate_due(now=week)
    assert transitions(segment) == [("enter", "time", True)]


@pytest.mark.parametrize("field", ["withdrew_at", "completed_at"])
def test_learner_who_left_or_completed_the_course_is_in_no_segment(field):
    course = make_course()
    segment = make_segment(make_playbook(course), QUIET)
    enrollment = make_enrollment(course, **{field: NOW + HOUR})
    bring_up_to_date()
    assert held_by(enrollment) == {segment.id}
    evaluate_due(now=NOW + HOUR)
    assert held_by(enrollment) == set()
    assert transitions(segment) == [("leave", "course_over", False)]
    assert due_at(enrollment) is None


def test_after_its_last_day_a_course_is_over():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    evaluate_due(now=datetime.fromisoformat("2025-10-27T00:00:00+00:00"))
    assert transitions(segment) == [("leave", "course_over", False)] * 3


def test_stopped_clock_never_advances():
    cast = make_cast(clock_stopped_at=NOW)
    segment = make_segment(make_playbook(cast.course), QUIET)
    years_later = NOW + timedelta(days=1000)
    evaluate_due(now=years_later)
    assert len(members(segment)) == 3
    assert set(Due.objects.values_list("due_at", "evaluated_at")) == {(None, NOW)}


def test_stored_instants_never_go_back():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    bring_up_to_date(NOW + HOUR)
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
    assert evaluate_due(now=NOW, batch_size=3).evaluated == 7
    assert members(segment) == names(everybody)


def test_only_one_course_is_evaluated_when_it_is_named():
    first, second = make_enrollment(), make_enrollment()
    evaluate_due(now=NOW, course_id=second.course_id)
    assert (due_at(first), due_at(second)) == (NOW, None)


def test_without_time_left_nothing_is_evaluated():
    enrollment = make_enrollment()
    assert evaluate_due(now=NOW, budget_seconds=0).evaluated == 0
    assert due_at(enrollment) == NOW


@pytest.mark.parametrize("size", [1, 50, 120])
def test_the_number_of_queries_does_not_grow_with_the_batch(size, django_assert_num_queries):
    course = make_course()
    playbook = make_playbook(course)
    make_segment(playbook, QUIET)
    make_segment(playbook, ACTED_TODAY)
    evaluate_due(now=NOW)
    for _ in range(size):
        make_enrollment(course)
    # 19 evaluate. 5 note what the batch took, in a transaction of its own: its savepoint, two
    # settings, one statement, and the release.
    with django_assert_num_queries(24):
        assert evaluate_due(now=NOW).evaluated == size
