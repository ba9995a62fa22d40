"""Markdown becomes HTML, and Liquid survives it."""

from dataclasses import replace

import pytest

from interventions.operations import check_texts
from interventions.render.context import SAMPLE
from interventions.render.mail import render_message
from interventions.render.markdown import html_of

GREETING = "{{ learner.first_name | default: 'there' }}"


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("Hello *Ana*", "<p>Hello <em>Ana</em></p>\n"),
        ("One\nTwo", "<p>One<br />\nTwo</p>\n"),
        (f"Hello {GREETING},", f"<p>Hello {GREETING},</p>\n"),
        (
            "Open [{{ next_item.title }}]({{ next_item.url }}).",
            '<p>Open <a href="{{ next_item.url }}">{{ next_item.title }}</a>.</p>\n',
        ),
        (
            '{{ "a_b" | append: "*c*" }} and {{ "*d*" }}',
            '<p>{{ "a_b" | append: "*c*" }} and {{ "*d*" }}</p>\n',
        ),
        (
            "{% if next_item %}\n\nNext: {{ next_item.title }}\n\n{% endif %}",
            "{% if next_item %}\n<p>Next: {{ next_item.title }}</p>\n{% endif %}\n",
        ),
        ("liquid0x {{ course.title }}", "<p>liquid0x {{ course.title }}</p>\n"),
        ("2 < 3 <script>alert(1)</script>", None),
    ],
)
def test_liquid_survives_markdown(source: str, html: str | None) -> None:
    found = html_of(source)

    assert "<script" not in found
    assert html in (None, found)


class Searched(str):
    """A text that counts how often it is searched for the end of a part."""

    searches = 0

    def find(self, *given):
        self.searches += 1
        return super().find(*given)


@pytest.mark.parametrize(
    ("source", "searches"),
    [("{{" * 25_000, 1), ("{% if a" * 7_000, 1), ("{{ a }} {% " * 100, 101)],
)
def test_liquid_that_never_ends_is_searched_once(source: str, searches: int) -> None:
    # Searched from each beginning, such a text of 50,000 letters takes half a minute.
    text = Searched(source)

    html_of(text)

    assert text.searches == searches


def test_html_in_markdown_is_shown_as_text() -> None:
    assert "&lt;b&gt;" in html_of("<b>")


def test_message_in_markdown_reaches_the_learner_clean() -> None:
    source = (
        f"Hello {GREETING},\n\n{{% if next_item.url %}}\n\n"
        "**Next:** [{{ next_item.title }}]({{ next_item.url }})\n\n{% endif %}\n\n[x](javascript:1)"
    )
    body = html_of(source)
    check_texts({"en": ("Hello", html_of(source.replace("[x](javascript:1)", "")))})

    context = replace(SAMPLE, learner_name="<i>Bo</i> *x*")
    rendered = render_message(subject="Hello", body=body, context=context, postal_address="")

    assert "Hello &lt;i&gt;Bo&lt;/i&gt;" in rendered.html
    assert '<a href="https://courses.example.org/module-3"' in rendered.html
    assert "javascript" not in rendered.html.replace("[x](javascript:1)", "")
