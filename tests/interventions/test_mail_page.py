"""The page around the words of a mail, and its button."""

import re
from dataclasses import replace

import pytest

from interventions.render.context import SAMPLE
from interventions.render.liquid import TemplateError
from interventions.render.mail import Rendered, render_message
from interventions.render.mjml import DocumentError, check_document, compile_document
from interventions.render.shell import Words, cut_at_button

LINK = '<a href="https://x.example/">Start</a>'


def mail(body: str, *, locale: str = "en", **facts: object) -> Rendered:
    context = replace(SAMPLE, **facts)
    return render_message(
        subject="Hello", body=body, context=context, postal_address="1 Street", locale=locale
    )


def document(inner: str, *, head: str = "") -> str:
    body = f"<mj-body><mj-section><mj-column>{inner}</mj-column></mj-section></mj-body>"
    return f'<mjml lang="en">{head}{body}</mjml>'


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (document("<mj-txt>x</mj-txt>"), "Unknown tag <mj-txt>."),
        (document("<mj-text colour='red'>x</mj-text>"), "Unknown attribute colour in <mj-text>."),
        ('<mjml lang="en"><mj-head></mj-head></mjml>', "The document needs <mjml> with <mj-body>."),
        ("<mjml><mj-body></mj-body></mjml>", "Name the language of the document"),
        (document("<mj-text>x"), "The document is not complete MJML"),
        ("<html><body>x</body></html>", "The document needs <mjml>"),
    ],
)
def test_a_mistake_in_a_document_is_refused_with_a_sentence(source: str, sentence: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(sentence)):
        compile_document(source)


def test_html_inside_a_text_and_a_comment_are_no_mistakes() -> None:
    check_document(document("<!-- a note --><mj-text><p>x</p></mj-text>"))


def test_a_document_keeps_its_media_rules_and_gets_the_others_at_its_elements() -> None:
    style = "p { color: red; } @media (prefers-color-scheme: dark) { p { color: white; } }"
    head = f"<mj-head><mj-style>{style}</mj-style></mj-head>"

    html = compile_document(document("<mj-text><p>x</p></mj-text>", head=head))

    assert "@media (prefers-color-scheme: dark)" in html
    assert re.search(r'<p style="[^"]*color: red', html)


def test_a_mail_loads_nothing() -> None:
    html = mail(f"<p>Hello</p><p>{LINK}</p>").html

    assert not re.search(r"@import|<link|<script|\bsrc=|url\(", html)
    outside = set(re.findall(r"https?://([\w.]+)", html))
    # The others are names of XML, which nobody follows.
    assert outside == {"x.example", "courses.example.org", "www.w3.org"}


def test_no_line_of_a_mail_has_to_be_encoded() -> None:
    lines = mail(f"<p>Hello</p><p>{LINK}</p><p>Bye</p>").html.splitlines()

    assert max(map(len, lines)) < 998


def test_every_place_of_the_page_is_filled_and_nothing_else() -> None:
    for body in ("<p>Hello</p>", f"<p>{LINK}</p>"):
        assert "@@" not in mail(body).html
    assert "<p>@@label@@</p>" in re.sub(' style="[^"]*"', "", mail("<p>@@label@@</p>").html)


@pytest.mark.parametrize(
    ("html", "words"),
    [
        (f"<p>One</p>\n<p>{LINK}</p>\n<p>Two</p>", ("<p>One</p>\n", "Start", "\n<p>Two</p>")),
        (f"<p>One<br></p><p> {LINK}\n</p>", ("<p>One<br></p>", "Start", "")),
        (f"<p>{LINK}</p><p>{LINK}</p>", ("", "Start", f"<p>{LINK}</p>")),
        (
            '<p><a href="https://x.example/" title="t"><b>Go</b> on</a></p>',
            ("", "<b>Go</b> on", ""),
        ),
    ],
)
def test_the_first_link_alone_in_a_paragraph_is_the_button(html: str, words: tuple) -> None:
    before, label, after = words

    assert cut_at_button(html) == Words(before, "https://x.example/", label, after)


@pytest.mark.parametrize(
    "html",
    [
        f"<p>Go on: {LINK}</p>",
        f"<p>{LINK}.</p>",
        f"<ul><li><p>{LINK}</p></li></ul>",
        f"<div><p>{LINK}</p></div>",
        f"<p>{LINK} {LINK}</p>",
        '<p><a href="https://x.example/"><img src="https://x.example/i.png" alt="Go"></a></p>',
        f'<p style="margin: 0">{LINK}</p>',
        "<p>No link</p>",
    ],
)
def test_any_other_link_stays_a_link(html: str) -> None:
    assert cut_at_button(html) == Words(html)


def test_a_button_is_a_link_in_the_text_part_and_both_follow_the_order_of_the_words() -> None:
    rendered = mail(f"<p>First</p><p>{LINK}</p><p>Last</p>")

    assert rendered.text.startswith("First\n\nStart:\nhttps://x.example/\n\nLast\n\n-- \n")
    places = [rendered.html.index(each) for each in (">First<", ">Start<", ">Last<")]
    assert places == sorted(places)


def test_the_styles_of_staff_win_over_those_of_the_page() -> None:
    html = mail('<h2 style="color:red;margin:0">Hello</h2><p>x</p>').html

    style = re.search(r'<h2 style="([^"]*)"', html)[1]
    assert "color: red" in style.replace(":red", ": red")
    assert style.index("font-size") >= 0
    assert not re.search(r"margin: 8px", style)


@pytest.mark.parametrize(
    ("locale", "lang", "direction", "sentence"),
    [
        ("de", "de", "ltr", "Sie kommt jetzt aus diesem Grund: Sie waren seit einer Woche nicht"),
        ("pt-br", "pt-br", "ltr", "It comes now because you have not been in the course"),
        ("ar", "ar", "rtl", "It comes now because you have not been in the course"),
        ("x y", "x y", "ltr", "It comes now because you have not been in the course"),
    ],
)
def test_the_page_is_in_the_language_of_its_text(locale, lang, direction, sentence) -> None:
    rendered = mail("<p>Hello</p>", locale=locale)

    assert f'<html lang="{lang}" dir="{direction}"' in rendered.html
    assert sentence in rendered.html
    assert sentence in rendered.text


def test_a_mail_of_more_than_a_megabyte_is_refused() -> None:
    with pytest.raises(TemplateError, match="larger than 1 MB"):
        mail("{% for each in (1..900) %}" + "<h1>x</h1>" * 20 + "{% endfor %}")
