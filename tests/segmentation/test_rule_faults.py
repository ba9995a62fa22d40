"""Every fault of a rule at its place, and choices that the parser accepts."""

import json

import pytest
from hypothesis import given

from segmentation.rules import (
    OPERATORS,
    RuleError,
    canonical_rule,
    find_faults,
    offered_signals,
    sentence,
    split_place,
)
from segmentation.signals import SIGNALS
from tests.segmentation.factories import where
from tests.segmentation.rule_strategies import rule_shapes

VALUES = {"one": 1, "two": [1, 1], "many": ["Wales"], "nothing": None}


def is_read(data):
    try:
        canonical_rule(data)
    except RuleError:
        return False
    return True


@given(rule_shapes())
@pytest.mark.slow
def test_rule_has_faults_exactly_if_the_parser_refuses_it(shape):
    assert bool(find_faults(json.dumps(shape)).faults) is not is_read(shape)


@given(rule_shapes(meant=True))
@pytest.mark.slow
def test_fault_of_each_condition_is_found_at_its_path(shape):
    text = json.dumps({"combinator": "and", "rules": [shape, shape]})
    spoiled = text.replace('"operator":', '"operater":')

    places = {split_place(fault.path)[0] for fault in find_faults(spoiled).faults}

    assert len(places) == min(50, spoiled.count('"operater":'))


def offered(name):
    """Return one signal as it is offered."""
    return next(
        one for group in offered_signals() for one in group["options"] if one["name"] == name
    )


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_each_signal_offers_exactly_the_operators_that_the_parser_accepts(signal):
    found = offered(signal.name)
    more = {each["name"]: "x" for each in found["args"]}
    more |= {} if found["window"] == "none" else {"window": 7}

    accepted = {
        symbol
        for symbol, entry in OPERATORS.items()
        if is_read(where(signal.name, symbol, VALUES[entry.takes], **more))
        or (signal.is_trait and is_read(where(signal.name, symbol, "x", **more)))
    }

    assert {one["name"] for one in found["operators"]} == accepted


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_first_condition_of_each_signal_is_a_rule(signal):
    usual = offered(signal.name)["defaults"]
    more = {} if usual["window"] is None else {"window": usual["window"]}
    # A trait has no usual name and value: these are typed.
    more |= {each.key: "region" for each in signal.args if each.required}
    value = "x" if usual["value"] == "" else usual["value"]

    assert is_read(where(signal.name, usual["operator"], value, **more))


@pytest.mark.parametrize(
    ("path", "reason", "words"),
    [
        ("rules[0].value", "must be a number, is text", "The value must be a number."),
        ("rules[0].value[1]", "is missing", "The value is missing."),
        ("rules[0].window", "must be a whole number of days, is ''",
         "The number of days must be a whole number."),
        ("rules[1].rules[0].field", "'x' is not a signal", "'x' is not a signal."),
        ("rules[0].colour", "is not a known key here", "“colour” is not a known key here."),
        ("rules[0].field", "'x' is not a signal; did you mean 'y'?",
         "'x' is not a signal; did you mean 'y'?"),
        ("", "has 201 conditions, at most 200 are allowed",
         "The rule has 201 conditions, at most 200 are allowed."),
    ],
)  # fmt: skip
def test_fault_is_a_sentence_for_a_reader_who_sees_its_place(path, reason, words):
    assert sentence(RuleError(path, reason)) == words
