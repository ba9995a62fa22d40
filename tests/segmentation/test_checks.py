"""What is said of a segment that holds nobody, nearly everybody, or whom it should not."""

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


def test_a_rule_that_is_sound_says_whom_it_holds():
    cast = make_cast()
    assert said(where("modules_completed", ">=", 2), cast.course) == [
        "nothing is odd: it holds 1 of the 3 who could be in it"
    ]


def test_a_signal_that_nobody_has_is_named():
    course = make_course()
    make_enrollment(course)
    rule = either(where("quiz_pass_rate", "<", 0.6), where("logins", ">=", 1, window=7))
    (words,) = said(rule, course)
    assert words == (
        "it fires on nobody: “Passed less than 60% of the scored quiz attempts so far” is unknown"
        " for everybody; “Logged in at least 1 time in the last 7 days” holds for nobody"
    )


def test_conditions_that_never_meet_are_said_to():
    cast = make_cast()
    act(cast.cy, occurred_at=NOW)
    rule = either(
        where("modules_completed", ">=", 1), where("logins", ">=", 1, window=7), combinator="and"
    )
    (words,) = said(rule, cast.course)
    assert words.endswith("each of its conditions holds for somebody, but not together")


def test_a_course_without_anybody_in_scope_says_so():
    assert "nobody in scope" in said(QUIET, make_course())[0]


@pytest.mark.parametrize(("active", "is_odd"), [(2, False), (1, True)])
def test_a_rule_that_holds_more_than_four_in_five_is_named(active, is_odd):
    course = make_course()
    everybody = [make_enrollment(course) for _ in range(10)]
    for one in everybody[:active]:
        act(one, occurred_at=NOW - timedelta(hours=1))
    words = said(QUIET, course)
    assert ("nearly everybody: 9 of the 10" in words[0]) is is_odd


def test_a_rule_about_silence_that_holds_the_active_contradicts_itself():
    course = make_course()
    everybody = [make_enrollment(course) for _ in range(10)]
    days = [NOW - timedelta(days=days) for days in range(3)]
    ingest([make_event(everybody[0], occurred_at=at) for at in days], now=NOW)
    literal = either(QUIET, where("logins", ">=", 3, window=7))
    words = said(literal, course)
    assert words == ["it holds nearly everybody: 10 of the 10 who could be in it"]

    ingest([make_event(everybody[1], occurred_at=at) for at in days], now=NOW)
    words = said(literal, course)
    assert words[1] == (
        "it contradicts itself: it asks for silence, and 2 of the 10 it holds were active on 3 or"
        " more of the last 7 days"
    )
    assert len(said(where("logins", ">=", 3, window=7), course)) == 1


def test_a_check_is_one_query_without_norms(django_assert_num_queries):
    cast = make_cast()
    with django_assert_num_queries(1):
        said(QUIET, cast.course)
