"""The count of an unsaved rule: matches, entries and leavings as an evaluation would make them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segmentation.models import Override, Segment
from segmentation.operations import SegmentFields, edit_segment
from segmentation.queries import count_rule, preview
from segmentation.rules import conditions, parse
from segmentation.stages.evaluate import evaluate_due
from tests.examples import examples
from tests.factories import NOW, act, make_cast, make_course, make_enrollment
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    identity,
    make_playbook,
    make_segment,
    members,
    where,
)
from tests.segmentation.rule_strategies import rule_shapes

pytestmark = pytest.mark.django_db


@pytest.fixture
def course():
    """Return a course in which three of five learners acted today, one of them twice."""
    course = make_course()
    learners = [make_enrollment(course) for _ in range(5)]
    for one in learners[:3]:
        act(one)
    act(learners[0])
    return course


@pytest.fixture
def cast():
    """Return a playbook for a course with Ana, who finished, Bo and Cy."""
    return make_playbook(make_cast().course)


def counted(course, segment, rule, leave_rule=None):
    leave = None if leave_rule is None else parse(leave_rule)
    return count_rule(parse(rule), leave, course, as_of=NOW, segment=segment)


def test_new_segment_counts_its_matches_as_members(course):
    found = counted(course, Segment(playbook=make_playbook(course)), ACTED_TODAY)

    assert (found.matches, found.of, found.members, found.enter, found.leave) == (3, 5, 3, 3, 0)


def test_count_says_for_each_condition_for_whom_it_is_true_or_unknown(course):
    twice = where("logins", ">=", 2, window=1)["rules"][0]
    unknown = where("quiz_pass_rate", "<", 0.5)["rules"][0]
    rule = {"combinator": "or", "rules": [twice, unknown]}

    found = counted(course, Segment(playbook=make_playbook(course)), rule)

    assert [(each.true, each.unknown) for each in found.conditions] == [(1, 0), (0, 5)]


def test_examples_hold_the_signals_of_the_rule(course):
    found = counted(course, Segment(playbook=make_playbook(course)), ACTED_TODAY)

    assert [each.signals for each in found.examples] == [{identity("active_days", 1): 1}] * 3


@pytest.mark.parametrize("is_exclusive", [False, True])
@pytest.mark.parametrize("leave_rule", [None, QUIET, where("logins", "=", 1, window=1)])
def test_entries_and_leavings_are_those_of_the_next_evaluation(course, is_exclusive, leave_rule):
    playbook = make_playbook(course, exclusive=is_exclusive)
    make_segment(playbook, where("logins", ">=", 2, window=1), priority=1)
    segment = make_segment(playbook, ACTED_TODAY, priority=2, leave_rule=leave_rule)
    added, removed, *_ = course.enrollments.order_by("-pk")
    Override.objects.create(segment=segment, enrollment=added, kind="added", created_at=NOW)
    evaluate_due(now=NOW)
    Override.objects.create(segment=segment, enrollment=removed, kind="removed", created_at=NOW)
    before = members(segment)
    rule = where("active_days", "<=", 1, window=7)

    found = counted(course, segment, rule, leave_rule)
    edit_segment(segment.pk, SegmentFields(key="k", name="n", rule=rule, leave_rule=leave_rule,
        priority=2), now=NOW)  # fmt: skip
    evaluate_due(now=NOW)
    after = members(segment)

    assert before
    assert (found.members, found.enter, found.leave) == (
        len(after), len(after - before), len(before - after)
    )  # fmt: skip


def test_count_takes_one_query_and_another_in_an_exclusive_playbook(
    course, django_assert_num_queries
):
    for is_exclusive in (False, True):
        segment = Segment(playbook=make_playbook(course, exclusive=is_exclusive))
        with django_assert_num_queries(1 + is_exclusive):
            counted(course, segment, ACTED_TODAY)


@pytest.mark.slow
@given(rule=rule_shapes(meant=True), leave_rule=st.none() | rule_shapes(meant=True))
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rule_is_counted_as_its_preview_lists_it(cast, rule, leave_rule):
    segment = Segment(playbook=cast)
    course = cast.courses.get()
    found = counted(course, segment, rule, leave_rule)
    listed = preview(parse(rule), course, as_of=NOW)

    assert (found.matches, found.of) == (listed.matches, listed.of)
    assert len(found.examples) == min(10, listed.matches)
    signals = {each.ref.identity for part in (rule, leave_rule) if part
               for each in conditions(parse(part))}  # fmt: skip
    assert all(set(each.signals) == signals for each in found.examples)
