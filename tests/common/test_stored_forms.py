"""The forms of JSON and text that are stored and compared."""

import pytest

from common.json_text import canonical_json
from common.stored_text import unstorable, without_nul


def test_order_of_keys_makes_no_difference() -> None:
    one, other = {"b": 1, "a": {"d": [], "c": "é"}}, {"a": {"c": "é", "d": []}, "b": 1}

    assert canonical_json(one) == canonical_json(other) == '{"a":{"c":"é","d":[]},"b":1}'


def test_values_equal_in_python_but_not_in_json_stay_different() -> None:
    assert len({canonical_json([value]) for value in (True, 1, 1.0, "1")}) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [("a\0b", "a NUL character"), ("a\ud800b", "half a character"), ("Zoë 😀", "")],
)
def test_character_that_cannot_be_stored_is_named(text: str, said: str) -> None:
    assert unstorable(text) == said


def test_search_text_loses_only_nul() -> None:
    assert without_nul("a\0b\ud800") == "ab\ud800"
