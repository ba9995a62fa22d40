"""docs/rules.md names every signal and every operator, and its examples are valid rules."""

import json
import re

import pytest

from segmentation.rules import OPERATORS, explain, find_ref, parse
from segmentation.signals import SIGNALS
from tests.guards.code import ROOT

PAGE = (ROOT / "docs" / "rules.md").read_text()


@pytest.mark.parametrize("name", [*OPERATORS, *(signal.name for signal in SIGNALS)])
def test_signal_and_operator_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_examples_are_rules_that_mean_what_the_page_says() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert f"*{explain(parse(json.loads(example)))}.*" in PAGE
    condition, identity = re.findall(r"`(\{.*?\})`", PAGE)
    assert parse(json.loads(condition))
    assert find_ref(identity)
