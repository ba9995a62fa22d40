"""The glossary has a word for every table, and one line per word."""

import re
from collections import Counter

import pytest
from django.apps import apps

from tests.guards.code import ROOT

OURS = ("activity", "segmentation", "experiments", "interventions", "config")
MODELS = [model for model in apps.get_models() if model._meta.app_label in OURS]
ROWS = re.findall(
    r"^\| (.+?) \| (.+?) \| (.*?) ?\|$", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE
)
WORDS = Counter(word for words, *_ in ROWS[2:] for word in words.split(", "))


@pytest.mark.parametrize("model", MODELS, ids=[model._meta.label for model in MODELS])
def test_name_of_every_table_is_in_the_glossary(model) -> None:
    assert str(model._meta.verbose_name) in WORDS


def test_no_word_has_two_lines() -> None:
    assert [word for word, times in WORDS.items() if times > 1] == []


def test_no_word_is_one_that_we_avoid() -> None:
    avoided = {
        word for _, _, words in ROWS[2:] for word in re.sub(r"\(.*?\)", "", words).split(", ")
    }

    assert sorted(avoided & WORDS.keys() - {""}) == []
