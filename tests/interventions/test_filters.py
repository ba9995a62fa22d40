"""Our own filters of templates."""

import pytest

from interventions.render.context import SAMPLE
from interventions.render.liquid import TemplateError, check, render_body, render_subject


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 'hello' | truncate: 2 }}", "h…"),
        ("{{ 'hello' | truncate: 1 }}", "h"),
        ("{{ 'hello' | truncate: 3 }}", "he…"),
        ("{{ 'hello' | truncate: 5 }}", "hello"),
        ("{{ 'hello' | truncate: 0 }}", ""),
        ("{{ 'hello' | truncate: 4, '..' }}", "he.."),
        ("{{ 'you read Module 2' | sentence }}", "You read Module 2."),
        ("{{ '' | sentence }}", ""),
        ("{{ why | sentence }}", f"Y{SAMPLE.why[1:]}."),
    ],
)
def test_a_text_is_shortened_and_a_clause_becomes_a_sentence(source: str, text: str) -> None:
    assert render_subject(source, SAMPLE) == text


def test_filters_keep_the_escaping_of_a_body() -> None:
    for name in ("sentence", "truncate: 4"):
        assert "<b>" not in render_body("{{ '<b>x</b>' | " + name + " }}", SAMPLE)


def test_a_length_that_is_no_number_is_refused() -> None:
    with pytest.raises(TemplateError, match="truncate needs a number"):
        check("{{ 'x' | truncate: 'many' }}", html=True)
