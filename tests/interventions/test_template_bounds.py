"""The limits of a template: memory and time stay small for any text and in any branch."""

import time
from dataclasses import replace

import pytest

from interventions.render.bounds import MAX_TEXT
from interventions.render.context import SAMPLE
from interventions.render.liquid import TemplateError, check, render_body, render_subject

HUGE = "(1..1000000000)"
GROWTH = "{% assign s = 'xxxxxxxxxxxxxxxxxxxx' %}{{ s" + " | replace: 'x', s" * 8 + " }}"


def hidden(source: str) -> str:
    return "{% if learner.name == 'nobody' %}" + source + "{% endif %}"


RANGES = [
    "{% for i in " + HUGE + " reversed %}{% endfor %}",
    "{% for i in " + HUGE + " limit: 2 offset: 90000000 %}{% endfor %}",
    "{% if " + HUGE + " contains 'x' %}{% endif %}",
    "{% unless true and " + HUGE + " contains 'x' %}{% endunless %}",
    "{% if false %}{% elsif " + HUGE + " contains 'x' %}{% endif %}",
    "{% case 1 %}{% when " + HUGE + " %}x{% endcase %}",
    "{% case 1 %}{% when 1 %}y{% else %}{{ " + HUGE + " }}{% endcase %}",
    "{% assign r = " + HUGE + " %}",
    "{% capture c %}{{ " + HUGE + " }}{% endcapture %}",
    "{% for i in (1..2) %}{% else %}{% echo " + HUGE + " %}{% endfor %}",
    "{% cycle " + HUGE + ", 1 %}",
    "{{ learner.name | append: " + HUGE + " }}",
    "{% for i in (1..progress.modules_total) %}{% endfor %}",
    "{% for i in (-1000000..1) %}{% endfor %}",
    "{% for i in (1..'99999999') %}{% endfor %}",
    "{% for i in (1..1e9) %}{% endfor %}",
]


@pytest.mark.parametrize("wrap", [str, hidden], ids=["open", "in a branch not taken"])
@pytest.mark.parametrize("source", RANGES)
def test_a_long_or_unknown_range_is_refused_in_any_place(wrap, source: str) -> None:
    with pytest.raises(TemplateError, match="two whole numbers of at most 1000"):
        check(wrap(source), html=True)
    with pytest.raises(TemplateError, match="two whole numbers of at most 1000"):
        render_subject(wrap(source), SAMPLE)


def test_a_short_range_is_fine() -> None:
    source = "{% for i in (1..3) reversed %}{{ i }}{% endfor %}"

    check(source, html=True)

    assert render_body(source, SAMPLE) == "321"


@pytest.mark.parametrize("render", [render_body, render_subject])
@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (GROWTH, f"a text becomes longer than {MAX_TEXT} characters"),
        ("{{ learner.name | replace: '', learner.name }}", "replace needs a text to look for"),
        (
            "{{ 'a' | upcase" + " | append: 'xxxxxxxxxx' | replace: 'x', 'xxxxxxxxxx'" * 6 + " }}",
            "a text becomes longer",
        ),
        (
            "{% assign s = '" + "x" * 10_000 + "' %}{{ s" + " | append: s" * 20 + " | size }}",
            "it does too much",
        ),
        ("{% for i in (1..1000) %}{{ 'x' | upcase }}{% endfor %}" * 400, "it does too much"),
        (
            "{% for i in (1..1000) %}" + "{% if true %}{% endif %}" * 1_800 + "{% endfor %}",
            "it does too much",
        ),
        (
            "{% assign s = '" + "x" * 9_000 + "' %}{% for i in (1..900) %}"
            "{% assign t = s | upcase %}{% endfor %}",
            "it does too much",
        ),
        (
            "{% assign n = 9 %}{% for i in (1..30) %}{% assign n = n | times: n %}{% endfor %}",
            "a number becomes too large",
        ),
    ],
    ids=[
        "power", "empty search", "chain", "append", "many loops", "a long loop",
        "many texts", "number",
    ],
)  # fmt: skip
def test_unlimited_growth_is_refused_before_it_happens(render, source: str, sentence: str) -> None:
    started = time.process_time()

    with pytest.raises(TemplateError, match=sentence):
        render(source, SAMPLE)

    assert time.process_time() - started < 2


def test_growth_from_a_learners_data_is_refused_too() -> None:
    # In HTML the name contains "&lt;", so the count must come after the escaping.
    source = (
        "{% assign s = '' | append: learner.name | append: '<<<<<<<<<<' | escape %}{{ s"
        + " | replace: learner.name, s" * 8
        + " }}"
    )
    ana = replace(SAMPLE, learner_name="<")

    with pytest.raises(TemplateError, match="a text becomes longer"):
        render_body(source, ana)


def test_replace_still_replaces_and_still_escapes() -> None:
    source = "{{ learner.name | replace: 'Ana', '<b>' }} {{ 'a<b' | replace: '<', '>' }}"

    assert render_subject(source, SAMPLE) == "<b> Example a>b"
    assert render_body(source, SAMPLE).startswith("&lt;b&gt; Example")


def test_each_rendering_has_a_budget_of_its_own() -> None:
    source = "{% for i in (1..900) %}{{ 'x' | append: '" + "y" * 200 + "' | size }}{% endfor %}"

    assert {len(render_body(source, SAMPLE)) for _ in range(20)} == {2_700}


def test_a_long_normal_message_stays_far_below_the_budget() -> None:
    paragraph = "<p>Hello {{ learner.first_name | default: 'there' | capitalize }}, go on.</p>"

    check("{% for i in (1..3) %}<p>{{ i }}</p>{% endfor %}" + paragraph * 300, html=True)
