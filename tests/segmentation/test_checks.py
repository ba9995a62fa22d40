"""Warnings about a rule that matches nobody, nearly everybody, or the wrong learners."""

from datetime import timedelta

import pytest

from activity.operations import ingest
from segmentation.checks import check_rule
from segmentation.rules import parse
from tests.factories import NOW, act, make_cast, make_course, make_enrollment, make_event
from tests.segmentation.factories import QUIET, where

pytestmark = pytest.mark.django_db


def said(rule, course, **more):
    return check_rule(parse(rule), course, as_of=NOW, **more)


def either(*rules, combinator="or"):
    parts = [part for rule in rules for part in rule["rules"]]
    return {"combinator": combinator, "not": False, "rules": parts}


def test_sound_rule_has_no_warnings():
    cast = make_cast()
    assert said(where("modules_completed", ">=", 2), cast.course) == [
        "no warnings: the rule matches 1 of the 3 learners in scope"
    ]


def test_warning_names_a_signal_that_is_unknown_for_everybody():
    course = make_course()
    make_enrollment(course)
    rule = either(where("quiz_pass_rate", "<", 0.6), where("logins", ">=", 1, window=7))
    (words,) = said(rule, course)
    assert words == (
        "the rule matches nobody: “Passed less than 60% of the scored quiz attempts so far” is"
        " unknown for everybody; “Logged in at least 1 time in the last 7 days” is true for nobody"
    )


def test_warning_says_that_conditions_are_never_true_together():
    cast = make_cast()
    act(cast.cy, occurred_at=NOW)
    rule = either(
        where("modules_completed", ">=", 1), where("logins", ">=", 1, window=7), combinator="and"
    )
    (words,) = said(rule, cast.course)
    assert words.endswith("each of its conditions is true for somebody, but never all together")


def test_warning_says_that_a_course_has_no_learners_in_scope():
    assert "no learners in scope" in said(QUIET, make_course())[0]


@pytest.mark.parametrize(("active", "is_warned"), [(2, False), (1, True)])
def test_rule_that_matches_more_than_four_in_five_gets_a_warning(active, is_warned):
    course = make_course()
    everybody = [make_enrollment(course) for _ in range(10)]
    for one in everybody[:active]:
        act(one, occurred_at=NOW - timedelta(hours=1))
    words = said(QUIET, course)
    assert ("nearly everybody: 9 of the 10" in words[0]) is is_warned


def test_rule_about_inactivity_that_matches_active_learners_gets_a_warning():
    course = make_course()
    everybody = [make_enrollment(course) for _ in range(10)]
    days = [NOW - timedelta(days=days) for days in range(3)]
    ingest([make_event(everybody[0], occurred_at=at) for at in days], now=NOW)
    literal = either(QUIET, where("logins", ">=", 3, window=7))
    words = said(literal, course)
    assert words == ["the rule matches nearly everybody: 10 of the 10 learners in scope"]

    ingest([make_event(everybody[1], occurred_at=at) for at in days], now=NOW)
    words = said(literal, course)
    assert words[1] == (
        "the rule contradicts itself: it asks for inactivity, but 2 of the 10 learners that it"
        " matches were active on 3 or more of the last 7 days"
    )
    assert len(said(where("logins", ">=", 3, window=7), course)) == 1


def test_check_is_one_query_without_norms(django_assert_num_queries):
    cast = make_cast()
    with django_assert_num_queries(1):
        said(QUIET, cast.course)
