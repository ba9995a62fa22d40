"""Templates: refusals when saving, and protection from learners' data when rendering."""

import re
import time
from dataclasses import replace

import pytest

from interventions.models import TemplateText
from interventions.operations import InterventionError, check_texts, save_template
from interventions.render.context import KNOWN_VARIABLES, SAMPLE
from interventions.render.liquid import TemplateError, check, render_body, render_subject
from interventions.render.mail import render_message
from interventions.render.names import one_line
from tests.interventions.factories import make_category, make_template

POSTAL = "Nudgelab, 1 Example Street"
LEFT = "{% assign left = progress.modules_total | minus: progress.modules_completed %}"


def mail(subject: str = "Hello", body: str = "<p>Hello</p>", **facts: object):
    return render_message(
        subject=subject, body=body, context=replace(SAMPLE, **facts), postal_address=POSTAL
    )


def words_of(html: str) -> str:
    """Return the part of the page that staff wrote, without the styles at its elements."""
    words = html[html.index('class="words"') : html.index('class="foot"')]
    return re.sub(r' style="[^"]*"', "", words)


def test_every_known_variable_can_be_used() -> None:
    names = [name for name in KNOWN_VARIABLES if name != "next_item"]
    body = "".join(f"{{{{ {name} | default: 'none' }}}}" for name in names)
    body += "{% if next_item.minutes %}{{ next_item.title }}: {{ next_item.minutes }}{% endif %}"

    check(body, html=True)

    assert "Module 3: 6" in render_body(body, SAMPLE)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ learner.nmae }}", "Unknown variable 'learner.nmae'. Known variables: course.title, "),
        ("{{ settings.SECRET_KEY }}", "Unknown variable 'settings.SECRET_KEY'"),
        ("{{ learner }}", "Unknown variable 'learner'"),
        ("{% if false %}{{ hidden }}{% endif %}", "Unknown variable 'hidden'"),
        ("{{ nothing | default: 'x' }}", "Unknown variable 'nothing'"),
        ("{{ learner['__class__'] }}", "Unknown variable"),
        ("{{ next_item.title }}", "put the text that uses next_item between"),
        ("{% if %}", "missing expression"),
        ("{{ learner.name | shout }}", "unknown filter 'shout'"),
        ("{{ learner.name | safe }}", "unknown filter 'safe'"),
        ("{{ 'now' | date: '%Y' }}", "unknown filter 'date'"),
        ("{{ (1..9) | join: '' }}", "unknown filter 'join'"),
        ("{% include 'x' %}", "include"),
        ("{% render 'x' %}", "render"),
        ("{% for i in (1..1000000) %}x{% endfor %}", "loop"),
        ("{{ learner.name | divided_by: 0 }}", "can't divide by 0"),
        ("{{ learner.name", "expected '}}'"),
        ("Hi {{ learner.first_name }}, your dough is waiting", "A learner may have no name. Write"),
        ("{{ learner.name }}", "A learner may have no name. Write"),
        ("{% if next_item %}{{ next_item.minutes }} minutes{% endif %}", "no estimated time"),
        (
            "{% if next_item %}<a href='{{ next_item.url }}'>Go</a>{% endif %}",
            "The next item may have no address, so put the text that uses next_item.url between",
        ),
        (
            "{{ progress.modules_completed | times: 100 | divided_by: progress.modules_total }} %",
            "A course may have no module yet (0 of 0)",
        ),
        ("{{ 8 | divided_by: progress.modules_completed }}", "has completed nothing yet"),
        (LEFT + "{{ 1 | divided_by: left }}", "has completed everything"),
        ("x" * 50_001, "a template can have at most 50,000 letters"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_refused_with_a_sentence(
    source: str, sentence: str
) -> None:
    with pytest.raises(TemplateError, match=r"\.$") as refused:
        check(source, html=True)

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "source",
    [
        "Hi {{ learner.first_name | default: 'there' }},",
        "Hi{% if learner.first_name %} {{ learner.first_name }}{% endif %},",
        "{% unless learner.name %}Hello!{% else %}Hello {{ learner.name }}!{% endunless %}",
        "{% if next_item.minutes %}{{ next_item.title }}: {{ next_item.minutes }} min{% endif %}",
        "{% if next_item.url %}<a href='{{ next_item.url }}'>{{ next_item.title }}</a>{% endif %}",
        "{{ next_item.title | default: 'Nothing is left to do' }}",
        "{% if progress.modules_total > 0 %}{{ 9 | modulo: progress.modules_total }}{% endif %}",
    ],
)
def test_guarded_missing_variables_are_accepted(source: str) -> None:
    check(source, html=True)


def test_a_learners_name_brings_no_link_into_a_mail() -> None:
    name = "Ana http://evil.example/x www.evil.example evil.example/win ana@evil.example Pérez"

    rendered = mail(body="<p>{{ learner.name }}</p>", learner_name=name)

    assert "<p>Ana evil. example/win Pérez</p>" in words_of(rendered.html)


def test_plain_text_becomes_paragraphs() -> None:
    body = "Hello Ana,\n\nthe quiz is open.\nIt takes six minutes.\n\n\nYour <b>teacher</b>\n"

    rendered = mail(body=body)

    assert "<p>Hello Ana,</p>" in words_of(rendered.html)
    assert "<p>the quiz is open.<br>It takes six minutes.</p>" in words_of(rendered.html)
    assert rendered.text.startswith(
        "Hello Ana,\n\nthe quiz is open.\nIt takes six minutes.\n\nYour teacher\n\n"
    )


def test_line_breaks_in_html_are_unchanged() -> None:
    body = "<p>one\ntwo</p>\n\n<p>three</p>"

    assert body in words_of(mail(body=body).html)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("<center>Your week</center>Start", "The tag <center> is not allowed in a message"),
        ("<p>x</p><script>alert(1)</script>", "The tag <script> is not allowed in a message"),
        ("<html><body>x</body></html>", "The tag <html> is not allowed in a message"),
        ("<FONT>x</FONT>", "The tag <font> is not allowed in a message"),
        ("<p class='x'>x</p>", "The attribute class of <p> is not allowed in a message"),
        ("<p onclick='x()'>x</p>", "The attribute onclick of <p> is not allowed"),
        ("<p style='color:red;position:fixed'>x</p>", "The style position is not allowed"),
        (
            "<a href='/cells'>Go</a>",
            'href="/cells" in <a> does not work in a mail. Write a complete',
        ),
        ("<a>Go</a>", 'href="" in <a> does not work'),
        ("<a href='javascript:alert(1)'>Go</a>", "does not work in a mail"),
        ("<a href='https:///x'>Go</a>", "does not work in a mail"),
        ("<a href='https://[x'>Go</a>", "does not work in a mail"),
        ("<img src='cell.png' alt='A cell'>", 'src="cell.png" in <img> does not work'),
        ("<img src='data:image/png;base64,x'>", "does not work in a mail"),
    ],
)
def test_forbidden_tags_and_incomplete_links_are_refused_when_saving(
    body: str, sentence: str
) -> None:
    with pytest.raises(TemplateError, match=r"The message in 'en'") as refused:
        check_texts({"en": ("Hello", body)})

    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        "<h5>Your week</h5>Start",
        "<p>10<sup>2</sup> and H<sub>2</sub>O, <del>old</del> <ins>new</ins></p>",
        "<pre>a  b</pre><!-- a note -->",
        "<p style='color:red; margin:0;'>x</p><ol start='3'><li>x</li></ol>",
        "<pre><code class='language-python'>x</code></pre>",
        "<a href='mailto:staff@example.org'>write</a> <a href='tel:+4412345'>call</a>",
    ],
)
def test_allowed_html_is_kept(body: str) -> None:
    check_texts({"en": ("Hello", body)})

    html = words_of(mail(body=body).html).replace('"', "'")
    for piece in ("<h5>", "<sup>2", "<sub>2", "<del>", "<ins>", "<pre>", "mailto:staff", "tel:+44"):
        assert (piece in html) == (piece in body)


def test_the_text_part_omits_hidden_elements_and_describes_pictures() -> None:
    body = (
        "<div style='display: none'>Only in the list of mails</div><p>Hello</p>"
        "<p><a href='https://x.example/'><img src='https://x.example/i.png' alt='Open it'></a></p>"
    )

    text = mail(body=body).text

    assert text.startswith("Hello\n\nOpen it:\nhttps://x.example/\n")


def test_every_address_in_the_text_part_has_its_own_line() -> None:
    body = (
        "<p>Go <a href='https://x.example/?a=1&amp;b=2'>here</a>, or "
        "<a href='https://y.example/'>https://y.example/</a> (or "
        "<a href='mailto:t@example.org'>write</a>).</p>"
    )

    lines = mail(body=body).text.splitlines()

    assert lines[:6] == [
        "Go here:", "https://x.example/?a=1&b=2", "or", "https://y.example/", "(or write:",
        "t@example.org",
    ]  # fmt: skip
    for address in (SAMPLE.preferences_url, SAMPLE.unsubscribe_url):
        assert address in lines


def test_the_mail_says_why_it_comes_now() -> None:
    for part in (mail().html, mail().text):
        assert "It comes now because you have not been in the course for a week." in part
    assert "It comes now" not in mail(reason="", signals={}).text


def test_a_learners_name_is_escaped_in_the_body_and_not_in_the_subject() -> None:
    name = "<b>Ana</b> & Bo"

    assert render_body("{{ learner.name }}", replace(SAMPLE, learner_name=name)) == (
        "&lt;b&gt;Ana&lt;/b&gt; &amp; Bo"
    )
    assert render_subject("{{ learner.name }}", replace(SAMPLE, learner_name=name)) == name


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        "<p onclick='alert(1)'>x</p>",
        "<a href='javascript:alert(1)'>x</a>",
        "<iframe src='https://example.org'></iframe>",
        "<form action='https://example.org'><input></form>",
        "<img src='data:text/html,x'>",
        "<p style='background-image: url(https://example.org/x)'>x</p>",
        "<link rel='stylesheet' href='https://example.org/x.css'>",
        "<style>@import url(https://example.org)</style>",
    ],
)
def test_active_and_loading_html_is_removed(body: str) -> None:
    html = mail(body=body).html
    inner = html[html.index('class="words"') : html.index('class="foot"')]

    for danger in ("alert", "example.org", "data:", "javascript", "<form", "<iframe"):
        assert danger not in inner


def test_simple_html_is_kept() -> None:
    body = '<h2>Hi</h2><p>Then <a href="https://x.example/a?b=1&amp;c=2">go</a></p>'

    assert body in words_of(mail(body=body).html)


def test_a_link_from_data_cannot_run_a_script() -> None:
    item = replace(SAMPLE.next_item, url="javascript:alert(1)")

    assert "javascript" not in mail(body='<a href="{{ next_item.url }}">x</a>', next_item=item).html


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Hello\r\nBcc: all@example.org", "Hello Bcc: all@example.org"),
        ("a\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h", "a b c d e f g h"),
        ("a\x00b\x1b[31m", "ab[31m"),
        ("abc\u202egpj.exe", "abcgpj.exe"),
        ("  a   b  ", "a b"),
        ("Zoë 👩\u200d🎓", "Zoë 👩\u200d🎓"),
    ],
)
def test_one_line_has_no_breaks_and_no_control_characters(text: str, line: str) -> None:
    assert one_line(text) == line


def test_a_subject_is_one_line_of_limited_length() -> None:
    rendered = mail(subject="{{ learner.name }}", learner_name="a\r\nBcc: x" + "b" * 500)

    assert "\n" not in rendered.subject
    assert "\r" not in rendered.subject
    assert len(rendered.subject) == 250


def test_every_mail_says_who_sent_it_and_how_to_stop_it_in_both_parts() -> None:
    rendered = mail()

    for part in (rendered.html, rendered.text):
        assert POSTAL in part
        assert SAMPLE.unsubscribe_url in part
        assert SAMPLE.preferences_url in part


def test_the_text_part_reads_like_the_html() -> None:
    text = mail(body="<p>Hello Ana,</p><ul><li>one</li></ul><p><a href='https://x.example/'>Go</a>")

    assert "Hello Ana," in text.text
    assert "one" in text.text
    assert "Go:\nhttps://x.example/\n" in text.text
    assert "<" not in text.text


def test_many_brackets_cost_no_time() -> None:
    started = time.process_time()

    mail(body="[" * 50_000)

    assert time.process_time() - started < 5


def test_a_link_whose_words_are_its_address_is_written_once() -> None:
    body = "<a href='https://x.example/'>https://x.example/</a> <a href='https://y.example/'>y</a>"

    text = mail(body=body).text

    assert text.startswith("https://x.example/\ny:\nhttps://y.example/\n")


def test_elements_nested_too_deep_are_refused_when_saving() -> None:
    def texts(depth: int) -> dict[str, tuple[str, str]]:
        return {"en": ("Hello", "<div>" * depth + "Hello" + "</div>" * depth)}

    check_texts(texts(100))

    with pytest.raises(
        TemplateError, match=r"The message in 'en': The plain text .* would be empty"
    ):
        check_texts(texts(300))


@pytest.mark.django_db
def test_an_unknown_variable_is_refused_when_saving_and_nothing_is_saved() -> None:
    with pytest.raises(TemplateError, match=r"The body in 'en': Unknown variable 'learner\.nmae'"):
        make_template(en=("Hi", "{{ learner.nmae }}"))

    assert not TemplateText.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"fr": ("x", "y")}, "needs a text in English"),
        ({"en": ("x", "y"), "fr": (" ", "y")}, "The subject in 'fr' is empty"),
        ({"en": ("x", "")}, "The body in 'en' is empty"),
    ],
)
def test_missing_texts_are_refused(texts: dict, sentence: str) -> None:
    with pytest.raises((InterventionError, TemplateError), match=sentence):
        save_template("key", name="Name", category=make_category(), texts=texts)
