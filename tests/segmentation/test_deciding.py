"""Which conditions decide a rule: tables of true, false and unknown."""

import pytest

from segmentation.rules import Verdict, deciding, evaluate, parse, verdicts
from tests.segmentation.factories import identity

A = {"field": "active_days", "window": 7, "operator": ">=", "value": 3}
B = {"field": "logins", "window": 7, "operator": ">=", "value": 1}
C = {"field": "quiz_pass_rate", "operator": "<", "value": 0.6}


def group(combinator, *rules, negated=False):
    return {"combinator": combinator, "not": negated, "rules": list(rules)}


def decided(rule, a, b, c):
    signals = {
        identity("active_days", 7): a,
        identity("logins", 7): b,
        identity("quiz_pass_rate"): c,
    }
    read = parse(rule)
    return evaluate(read, signals), [one.field for one in deciding(read, signals)]


@pytest.mark.parametrize(
    ("rule", "signals", "expected"),
    [
        (group("and", A, B), (3, 1, None), (True, ["active_days", "logins"])),
        (group("and", A, B), (0, 1, None), (False, ["active_days"])),
        (group("or", A, B), (3, 0, None), (True, ["active_days"])),
        (group("or", A, B), (0, 0, None), (False, ["active_days", "logins"])),
        (group("and", A, C), (3, 0, None), (None, ["quiz_pass_rate"])),
        (group("and", A, C), (0, 0, None), (False, ["active_days"])),
        (group("or", A, C, negated=True), (3, 0, 0.9), (False, ["active_days"])),
        (
            group("and", A, group("or", B, C)),
            (3, 0, 0.5),
            (True, ["active_days", "quiz_pass_rate"]),
        ),
    ],
)
def test_deciding_conditions_have_the_result_of_the_whole(rule, signals, expected):
    assert decided(rule, *signals) == expected


def test_a_missing_signal_raises():
    with pytest.raises(KeyError):
        deciding(parse(group("and", A)), {})


def test_verdicts_say_of_each_condition_whether_it_is_true():
    signals = {identity("active_days", 7): 3, identity("quiz_pass_rate"): None}

    assert verdicts(parse(group("and", A, C)), signals) == [
        Verdict(
            condition="Passed less than 60% of the scored quiz attempts so far",
            value="The share of quiz attempts passed so far is unknown: no quiz attempt so far has"
            " a score",
            holds=None,
            decides=True,
        ),
        Verdict(
            condition="Active on at least 3 of the last 7 days",
            value="Active on 3 of the last 7 days",
            holds=True,
            decides=False,
        ),
    ]


def test_no_verdict_decides_while_a_signal_is_missing():
    (verdict,) = verdicts(parse(group("and", A, B)), {identity("active_days", 7): 3})

    assert (verdict.holds, verdict.decides) == (True, False)
