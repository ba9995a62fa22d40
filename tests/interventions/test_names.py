"""Names of people in messages, and numbers with their words."""

from dataclasses import replace

import pytest

from interventions.render.context import SAMPLE
from interventions.render.liquid import TemplateError, render_subject


@pytest.mark.parametrize(
    ("name", "given", "called"),
    [
        ("", "", "there"),
        ("  Ana Maria", "", "Ana"),
        ("Doe, Jane", "", "Jane"),
        ("Doe, Jane Mary", "", "Jane"),
        ("Martin King, Jr.", "", "Martin"),
        ("Ana\u00a0María Pérez", "", "Ana"),
        ("陈 伟", "伟", "伟"),
        ("Doe,", "", "Doe"),
        (" \t\u2028 ", "", "there"),
        ("Ana\r\nBcc: Bo", "", "Ana"),
        ("https://example.org/win", "", "there"),
        ("www.example.org", "", "there"),
        ("ana@example.org", "", "there"),
        ("", "win.example.org", "win. example. org"),
        ("St.John Smith", "", "St."),
    ],
)
def test_a_message_uses_the_first_name(name: str, given: str, called: str) -> None:
    context = replace(SAMPLE, learner_name=name, given_name=given)
    source = "{{ learner.first_name | default: 'there' }}"

    assert render_subject(source, context) == called


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("Jane Doe", "Jane Doe"),
        ("Doe, Jane", "Jane Doe"),
        ("van der Berg, Jan Piet", "Jan Piet van der Berg"),
        ("Doe, Jane, PhD", "Jane Doe, PhD"),
        ("Martin King, Jr.", "Martin King, Jr."),
        ("Doe,", "Doe"),
    ],
)
def test_whole_name_is_in_the_order_in_which_it_is_said(name: str, called: str) -> None:
    context = replace(SAMPLE, learner_name=name, teacher_name=name)

    assert render_subject("{{ learner.name }}", context) == called
    assert render_subject("{{ teacher.name }}", context) == called


@pytest.mark.parametrize(("minutes", "said"), [(1, "1 minute"), (6, "6 minutes")])
def test_number_has_its_word_in_singular_or_plural(minutes: int, said: str) -> None:
    assert SAMPLE.next_item is not None
    context = replace(SAMPLE, next_item=replace(SAMPLE.next_item, minutes=minutes))

    source = "{{ next_item.minutes | count: 'minute', 'minutes' }}"

    assert render_subject(source, context) == said
    with pytest.raises(TemplateError, match="count needs a number"):
        render_subject("{{ course.title | count: 'x', 'y' }}", context)
