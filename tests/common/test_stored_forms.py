"""The forms of JSON and text that are stored and compared."""

import pytest

from common.json_text import canonical_json
from common.stored_text import unstorable, without_nul


def test_order_of_keys_does_not_tell_two_values_apart() -> None:
    one, other = {"b": 1, "a": {"d": [], "c": "é"}}, {"a": {"c": "é", "d": []}, "b": 1}

    assert canonical_json(one) == canonical_json(other) == '{"a":{"c":"é","d":[]},"b":1}'


def test_what_python_takes_for_equal_and_json_does_not_stays_apart() -> None:
    assert len({canonical_json([value]) for value in (True, 1, 1.0, "1")}) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [("a\0b", "a NUL character"), ("a\ud800b", "half a character"), ("Zoë 😀", "")],
)
def test_character_that_cannot_be_stored_is_named(text: str, said: str) -> None:
    assert unstorable(text) == said


def test_text_to_look_for_loses_nul_alone() -> None:
    assert without_nul("a\0b\ud800") == "ab\ud800"
