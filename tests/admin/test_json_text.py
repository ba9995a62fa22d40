"""JSON that is typed into the admin. Any error gives a sentence."""

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
def test_unreadable_text_gives_a_sentence_and_is_shown_again(text):
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


def test_data_is_shown_on_several_lines():
    assert JSONTextField().prepare_value({"a": 1}) == json.dumps({"a": 1}, indent=2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": 1\n "b": 2}', "line 2, column 2: a comma or a closing bracket was expected"),
        ("{'a': 1}", "line 1, column 2: a key in double quotes was expected"),
        ('{"a": 1,\n}', "a comma before a closing bracket is not allowed"),
        ('{"a"\n 1}', "line 2, column 2: a colon was expected after the key"),
        ("[1, tru]", "line 1, column 5: a value was expected"),
        ('{"a": "x', "line 1, column 7: the text that begins here has no closing quote"),
        ("{} x", "line 1, column 4: the JSON ends before this"),
    ],
)
def test_an_error_names_line_column_and_the_expected_text(text, sentence):
    with pytest.raises(ValidationError) as caught:
        JSONTextField().clean(text)
    assert sentence in caught.value.messages[0]

    with pytest.raises(RuleError) as refused:
        parse_text(text)
    assert sentence in str(refused.value)


def test_null_is_shown_as_an_empty_box():
    assert JSONTextField().prepare_value(None) == ""


def test_an_empty_box_means_null():
    field = JSONTextField(required=False)

    assert field.prepare_value(None) == ""
    assert field.clean("") is None
    assert not field.has_changed(None, "")
