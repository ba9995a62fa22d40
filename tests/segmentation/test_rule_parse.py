import json

import pytest
from hypothesis import given

from segmentation.rules import (
    MAX_DEPTH,
    Combinator,
    Condition,
    RuleError,
    parse,
    parse_text,
    to_json,
)
from segmentation.signals import SIGNALS_BY_NAME, SignalRef
from tests.segmentation.rule_strategies import rule_shapes


def group(*rules, combinator="and", **keys):
    return {"combinator": combinator, "rules": list(rules), **keys}


def active(**keys):
    return {"field": "active_days", "window": 7, "operator": ">=", "value": 3} | keys


def nested(levels):
    rule = active()
    for _ in range(levels):
        rule = group(rule)
    return rule


def ref(name, window=None):
    return SignalRef(SIGNALS_BY_NAME[name], window)


def without(shape, key):
    return {name: value for name, value in shape.items() if name != key}


TRAIT = {"field": "trait", "key": "region", "operator": "=", "value": "Wales"}
RATE = {"field": "quiz_pass_rate", "operator": "<", "value": 0.6}
BETWEEN = active(operator="between")


def test_a_group_is_read_with_its_conditions():
    rule = parse(group(active(), group(RATE, combinator="or", **{"not": True})))
    assert rule.combinator is Combinator.AND
    assert not rule.negated
    assert rule.rules[0] == Condition(ref("active_days", 7), ">=", 3)
    assert rule.rules[1].negated
    assert rule.rules[1].rules == (Condition(ref("quiz_pass_rate"), "<", 0.6),)


def test_single_condition_is_a_group_of_one():
    assert parse(active()) == parse(group(active()))


def test_keys_of_the_rule_builder_are_dropped():
    noted = group(active(id="r-1", path=[0], valueSource="value"), id="root", path=[])
    assert parse(noted) == parse(group(active()))


@pytest.mark.parametrize("window", [None, "all"])
def test_all_days_is_a_window_left_out(window):
    assert parse(RATE | {"window": window}) == parse(RATE)


@pytest.mark.parametrize("value", [None, ""])
def test_an_operator_without_value_forgets_the_builders_empty_one(value):
    empty = {"field": "quiz_pass_rate", "operator": "null"}
    assert parse(empty | {"value": value}) == parse(empty)


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        pytest.param([], "", "must be a group or a condition, is a list", id="list"),
        pytest.param(None, "", "is null", id="null"),
        pytest.param("rule", "", "is text", id="text"),
        pytest.param({}, "combinator", "is missing", id="nothing"),
        pytest.param(group(), "rules", "is empty", id="empty group"),
        pytest.param(
            group(active(), group()), "rules[1].rules", "is empty", id="inner empty group"
        ),
        pytest.param(group(active(), 3), "rules[1]", "is a number", id="number as rule"),
        pytest.param(group(active(), combinator="xor"), "combinator", "'xor'", id="combinator"),
        pytest.param(
            group(active(), combinator=["and"]), "combinator", "a list", id="combinator list"
        ),
        pytest.param(group(active(), **{"not": 1}), "not", "is a number", id="not a number"),
        pytest.param(group(active(), rule=1), "rule", "did you mean 'rules'?", id="group key"),
        pytest.param(
            {"combinator": "and", "rules": {}}, "rules", "is an object", id="rules object"
        ),
        pytest.param({"combinator": "and"}, "rules", "is missing", id="no rules"),
        pytest.param(active(colour="red"), "colour", "is not a known key", id="condition key"),
        pytest.param(active(key="region"), "key", "is not a known key", id="key without trait"),
        pytest.param(
            active(valueSource="field"), "valueSource", "must be 'value'", id="value source"
        ),
        pytest.param(
            active(field="activ_days"), "field", "did you mean 'active_days'?", id="field"
        ),
        pytest.param(active(field=None), "field", "null is not a signal", id="field null"),
        pytest.param(active(field=["active_days"]), "field", "a list is not", id="field list"),
        pytest.param(active(operator="=="), "operator", "'==' is not an operator", id="operator"),
        pytest.param(active(operator={}), "operator", "an object is not", id="operator object"),
        pytest.param(active(operator="contains"), "operator", "a number", id="text operator"),
        pytest.param(TRAIT | {"operator": "<"}, "value", "is text", id="number operator"),
        pytest.param(without(active(), "operator"), "operator", "is missing", id="no operator"),
        pytest.param(without(active(), "value"), "value", "is missing", id="no value"),
        pytest.param(active(value="3"), "value", "must be a number, is text", id="number as text"),
        pytest.param(active(value=True), "value", "is true or false", id="bool"),
        pytest.param(active(value=None), "value", "is null", id="value null"),
        pytest.param(active(value=[3]), "value", "is a list", id="value list"),
        pytest.param(active(value=float("nan")), "value", "finite", id="nan"),
        pytest.param(active(value=float("-inf")), "value", "finite", id="infinity"),
        pytest.param(active(value=10**400), "value", "finite", id="huge"),
        pytest.param(active(operator="null"), "value", "takes no value", id="value too many"),
        pytest.param(BETWEEN, "value", "must be a list, is a number", id="between one"),
        pytest.param(
            BETWEEN | {"value": [1]}, "value", "must be two numbers, has 1", id="one bound"
        ),
        pytest.param(BETWEEN | {"value": [1, 2, 3]}, "value", "has 3", id="three bounds"),
        pytest.param(
            BETWEEN | {"value": [5, 3]}, "value", "5 is above the upper bound 3", id="bounds"
        ),
        pytest.param(BETWEEN | {"value": [1, "3"]}, "value[1]", "is text", id="bound text"),
        pytest.param(
            BETWEEN | {"value": [True, 3]}, "value[0]", "is true or false", id="bound bool"
        ),
        pytest.param(without(active(), "window"), "window", "is missing", id="no window"),
        pytest.param(active(window="all"), "window", "whole number", id="all not allowed"),
        pytest.param(
            active(window="7"), "window", "whole number of days, is '7'", id="window text"
        ),
        pytest.param(active(window=7.0), "window", "is 7.0", id="window float"),
        pytest.param(active(window=True), "window", "true or false", id="window bool"),
        pytest.param(active(window=0), "window", "from 1 to 366", id="window zero"),
        pytest.param(active(window=367), "window", "is 367", id="window long"),
        pytest.param(
            {"field": "modules_open", "window": 7, "operator": ">", "value": 1},
            "window",
            "takes no window",
            id="window not taken",
        ),
        pytest.param(without(TRAIT, "key"), "key", "is missing", id="no key"),
        pytest.param(TRAIT | {"key": 7}, "key", "must be text, is a number", id="key number"),
        pytest.param(TRAIT | {"key": ""}, "key", "has 0", id="key empty"),
        pytest.param(TRAIT | {"key": "x" * 1001}, "key", "has 1001", id="key long"),
        pytest.param(TRAIT | {"key": "a\x00b"}, "key", "character", id="key nul"),
        pytest.param(TRAIT | {"value": True}, "value", "is true or false", id="trait bool"),
        pytest.param(TRAIT | {"value": ""}, "value", "has 0", id="text empty"),
        pytest.param(TRAIT | {"value": "x" * 1001}, "value", "has 1001", id="text long"),
        pytest.param(TRAIT | {"value": "a\x00b"}, "value", "character", id="text nul"),
        pytest.param(TRAIT | {"value": "a\ud800"}, "value", "character", id="text surrogate"),
        pytest.param(TRAIT | {"operator": "in"}, "value", "must be a list", id="in one"),
        pytest.param(TRAIT | {"operator": "in", "value": []}, "value", "empty list", id="in none"),
        pytest.param(
            TRAIT | {"operator": "notIn", "value": ["a", True]},
            "value[1]",
            "is true or false",
            id="in bool",
        ),
    ],
)
def test_fault_is_refused_with_its_path(data, path, reason):
    with pytest.raises(RuleError) as caught:
        parse(data)
    assert caught.value.path == path
    assert reason in caught.value.reason


def test_the_error_reads_as_one_sentence():
    deep = group(group(active(), active(), active(value="3")))
    with pytest.raises(RuleError) as caught:
        parse(deep)
    assert str(caught.value) == "rules[0].rules[2].value: must be a number, is text"


def test_the_allowed_depth_is_read():
    assert parse(nested(MAX_DEPTH))


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 500, 20_000])
def test_too_many_levels_are_refused_with_the_path(levels):
    with pytest.raises(RuleError, match="nested deeper than 50 levels") as caught:
        parse(nested(levels))
    assert caught.value.path == ".".join(["rules[0]"] * MAX_DEPTH)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 300, 500, 5_000, 200_000])
def test_too_many_levels_of_text_are_refused(levels):
    text = '{"combinator":"and","rules":[' * levels + json.dumps(active()) + "]}" * levels
    with pytest.raises(RuleError, match="nested deeper than 50 levels"):
        parse_text(text)


def test_too_many_conditions_are_refused():
    with pytest.raises(RuleError, match="has 201 conditions, at most 200"):
        parse(group(*[active()] * 201))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "is not JSON", id="empty"),
        pytest.param('{"field": ', "is not JSON", id="cut"),
        pytest.param('{"field": "trait", "field": "trait"}', "occurs twice", id="key twice"),
    ],
)
def test_text_that_is_not_a_rule_is_refused(text, reason):
    with pytest.raises(RuleError, match=reason):
        parse_text(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_special_numbers_in_json_text_are_refused(number):
    text = json.dumps(active()).replace("3}", f"{number}}}")
    with pytest.raises(RuleError, match="finite"):
        parse_text(text)


@pytest.mark.slow
@given(rule_shapes())
def test_rule_is_the_same_after_to_json_and_parse(shape):
    rule = parse(shape)
    assert parse_text(json.dumps(to_json(rule))) == rule
