"""From a template text and a learner's facts to subject, HTML and plain text."""

import re
import unicodedata
from dataclasses import dataclass, replace

import nh3
from django.utils.html import escape
from inscriptis import get_text
from inscriptis.model.config import ParserConfig

from interventions.render import liquid
from interventions.render.context import SAMPLE, MessageContext

MAX_SUBJECT = 250

_TAGS = """
    a b blockquote br code div em h1 h2 h3 h4 hr i img li ol p small span strong
    table tbody td th thead tr u ul
"""
_ATTRIBUTES = {
    "*": {"style"},
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height"},
    "td": {"align", "colspan", "rowspan", "width"},
    "th": {"align", "colspan", "rowspan", "scope", "width"},
    "table": {"width", "cellpadding", "cellspacing", "role"},
}
_STYLES = """
    background-color border border-radius color display font-size font-style font-weight
    line-height margin max-width padding text-align text-decoration width
"""
# Characters that turn the direction of the text around them could make a subject read as another.
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@dataclass(frozen=True)
class Rendered:
    """A message in words."""

    subject: str
    html: str
    text: str


def render_message(
    *, subject: str, body: str, context: MessageContext, postal_address: str
) -> Rendered:
    """Return the finished message. Raise liquid.TemplateError with the reason."""
    line = one_line(liquid.render_subject(subject, context))[:MAX_SUBJECT]
    inner = sanitize(liquid.render_body(body, context))
    footer = _footer(context, postal_address)
    html = _PAGE.format(subject=escape(line), body=inner, footer=footer)
    text = _plain(f"{inner}<hr>{footer}")
    # Elements laid hundreds deep make the reader of HTML give up, and the text comes out empty.
    if context.unsubscribe_url not in text:
        raise liquid.TemplateError(
            "The text part of the mail comes out empty: put fewer elements inside one another."
        )
    return Rendered(subject=line, html=html, text=text)


def check_message(*, subject: str, body: str) -> None:
    """Raise liquid.TemplateError with a sentence if no whole mail can be made of the texts."""
    for context in (SAMPLE, replace(SAMPLE, next_item=None)):
        render_message(subject=subject, body=body, context=context, postal_address="")


def one_line(text: str) -> str:
    """Return the text as one line without control characters, fit for a header.

    A line break in a name must not begin a header of its own.
    """
    # str.split knows every line break that any mail program knows, U+0085 and U+2028 among them.
    words = " ".join(text.split())
    return "".join(
        each
        for each in words
        if unicodedata.category(each) not in {"Cc", "Cs"} and each not in _DIRECTION
    )


def sanitize(html: str) -> str:
    """Return the HTML without scripts, forms, frames, remote styles and unknown addresses."""
    return nh3.clean(
        html,
        tags=set(_TAGS.split()),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes={"http", "https", "mailto"},
        filter_style_properties=set(_STYLES.split()),
        link_rel=None,
    )


def _footer(context: MessageContext, postal_address: str) -> str:
    return _FOOTER.format(
        course=escape(context.course_title),
        postal_address=escape(one_line(postal_address)),
        unsubscribe_url=escape(context.unsubscribe_url),
        preferences_url=escape(context.preferences_url),
    )


def _plain(html: str) -> str:
    text = get_text(html, ParserConfig(display_links=True))
    # A link whose words are its address would stand there twice.
    # No bracket inside: a run of brackets would be tried from each of them to its end.
    text = re.sub(r"\[([^\s\[\]]+)\]\(\1\)", r"\1", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


_FOOTER = (
    "<p>You get this mail because you take part in {course}. "
    '<a href="{unsubscribe_url}">Unsubscribe</a> or '
    '<a href="{preferences_url}">choose what you get</a>.</p>'
    "<p>{postal_address}</p>"
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{subject}</title>
<style>
body {{ margin: 0; padding: 0; background: #ffffff; color: #1c2330; }}
.mail {{ max-width: 36rem; margin: 0 auto; padding: 1.5rem 1.25rem; }}
.mail, .mail td {{ font: 1rem/1.55 -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }}
a {{ color: #6d28d9; }}
.foot {{ border-top: 1px solid #d9dde4; margin-top: 2rem; font-size: .8125rem; color: #566070; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #12151c; color: #e7eaf0; }}
  a {{ color: #c4a5ff; }}
  .foot {{ border-color: #313948; color: #a3adbd; }}
}}
</style>
</head>
<body>
<div class="mail">
{body}
<div class="foot">
{footer}
</div>
</div>
</body>
</html>
"""
