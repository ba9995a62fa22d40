"""JSON that a person typed into the admin: whatever it is, a sentence comes back."""

import json

import pytest
from django.core.exceptions import ValidationError

from common.forms import JSONTextField
from common.json_text import deep_path
from segmentation.rules import RuleError, parse_text


def nested(levels):
    rule = '{"field": "logins", "window": 7, "operator": ">=", "value": 1}'
    return '{"rules": [' * levels + rule + "]}" * levels


@pytest.mark.parametrize(
    "text",
    [
        nested(500),
        nested(5_000),
        "[" * 100_000,
        "9" * 5_000,
        '"\\ud800"',
        '{"\\ud800": 1}',
        "{",
    ],
    ids=["500 levels", "5000 levels", "brackets", "digits", "half character", "half key", "torn"],
)
def test_what_cannot_be_read_is_a_sentence_and_shown_again(text):
    field = JSONTextField()

    with pytest.raises(ValidationError):
        field.clean(text)

    assert field.prepare_value(field.bound_data(text, None)) == text
    assert field.has_changed(None, text) in (True, False)


def test_too_deep_text_names_the_path():
    with pytest.raises(ValidationError, match=r"rules\[0\]\.rules\[0\]"):
        JSONTextField().clean(nested(5_000))


def test_rule_of_500_levels_as_text_names_the_path():
    with pytest.raises(RuleError) as caught:
        parse_text(nested(5_000))

    assert caught.value.path.startswith("rules[0].rules[0]")
    assert "50 levels" in str(caught.value)


def test_path_counts_commas_and_takes_the_last_key():
    text = '{"a": 1, "b": [0, {"c, [": "}", "d": [[]]}]}'

    assert deep_path(text, depth=4) == "b[1].d[0][0]"


def test_data_is_shown_over_lines():
    assert JSONTextField().prepare_value({"a": 1}) == json.dumps({"a": 1}, indent=2)
