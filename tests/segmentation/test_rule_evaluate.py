import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation.rules import conditions, evaluate, parse
from segmentation.signals import SIGNALS_BY_NAME
from tests.segmentation.factories import identity
from tests.segmentation.rule_strategies import rule_shapes, values_for


def number(operator, value=None):
    shape = {"field": "quiz_pass_rate", "operator": operator}
    return parse(shape if value is None else shape | {"value": value})


def text(operator, value=None):
    shape = {"field": "trait", "key": "region", "operator": operator}
    return parse(shape if value is None else shape | {"value": value})


@pytest.mark.parametrize(
    ("operator", "value", "signal", "expected"),
    [
        ("=", 0.5, 0.5, True),
        ("=", 1, 1.0, True),
        ("=", 0.5, 0.6, False),
        ("!=", 0.5, 0.6, True),
        ("!=", 0.5, 0.5, False),
        ("<", 0.5, 0.4, True),
        ("<", 0.5, 0.5, False),
        ("<=", 0.5, 0.5, True),
        ("<=", 0.5, 0.6, False),
        (">", 0.5, 0.6, True),
        (">", 0.5, 0.5, False),
        (">=", 0.5, 0.5, True),
        (">=", 0.5, 0.4, False),
        ("between", [0.2, 0.4], 0.2, True),
        ("between", [0.2, 0.4], 0.4, True),
        ("between", [0.2, 0.4], 0.5, False),
        ("notBetween", [0.2, 0.4], 0.5, True),
        ("notBetween", [0.2, 0.4], 0.4, False),
        ("null", None, 0.5, False),
        ("null", None, None, True),
        ("notNull", None, 0.5, True),
        ("notNull", None, None, False),
        ("=", 0, None, None),
        ("!=", 0, None, None),
        ("notBetween", [0, 1], None, None),
        # Both round to the same double, also in PostgreSQL.
        ("=", 2**53 + 1, 2**53, True),
    ],
)
def test_numbers_compare(operator, value, signal, expected):
    assert evaluate(number(operator, value), {identity("quiz_pass_rate"): signal}) is expected


@pytest.mark.parametrize(
    ("operator", "value", "signal", "expected"),
    [
        ("=", "Wales", "Wales", True),
        ("=", "Wales", "wales", False),
        ("!=", "Wales", "Scotland", True),
        ("in", ["Wales", "Scotland"], "Scotland", True),
        ("in", ["Wales"], "Wal", False),
        ("notIn", ["Wales"], "Scotland", True),
        ("notIn", ["Wales"], "Wales", False),
        ("contains", "%", "Wales", False),
        ("contains", "ale", "Wales", True),
        ("null", None, None, True),
        ("notNull", None, "", True),
        ("in", ["Wales"], None, None),
        ("notIn", ["Wales"], None, None),
        ("contains", "a", None, None),
    ],
)
def test_texts_compare(operator, value, signal, expected):
    assert evaluate(text(operator, value), {identity("trait", None, "region"): signal}) is expected


KLEENE = {True: 0.9, False: 0.1, None: None}


@pytest.mark.parametrize(
    ("left", "right", "both", "either"),
    [
        (True, True, True, True),
        (True, False, False, True),
        (True, None, None, True),
        (False, False, False, False),
        (False, None, False, None),
        (None, None, None, None),
    ],
)
@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_unknown_joins_as_in_sql(left, right, both, either, negated, swapped):
    pair = (right, left) if swapped else (left, right)
    signals = {
        identity("quiz_pass_rate"): KLEENE[pair[0]],
        identity("average_score"): KLEENE[pair[1]],
    }
    rules = [
        {"field": name, "operator": ">", "value": 0.5}
        for name in ("quiz_pass_rate", "average_score")
    ]
    for combinator, expected in (("and", both), ("or", either)):
        rule = parse({"combinator": combinator, "not": negated, "rules": rules})
        wanted = expected if expected is None or not negated else not expected
        assert evaluate(rule, signals) is wanted


def test_missing_signal_raises_and_is_not_unknown():
    with pytest.raises(KeyError, match="quiz_pass_rate"):
        evaluate(number(">", 0.5), {})


@pytest.mark.slow
@given(shape=rule_shapes(), data=st.data())
def test_negation_swaps_true_and_false_and_keeps_unknown(shape, data):
    rule = parse(shape)
    signals = {
        condition.ref.identity: data.draw(values_for(SIGNALS_BY_NAME[condition.field]))
        for condition in conditions(rule)
    }
    opposite = parse(shape | {"not": not shape["not"]})
    swapped = {True: False, False: True, None: None}
    assert evaluate(opposite, signals) is swapped[evaluate(rule, signals)]
