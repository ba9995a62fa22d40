"""Render a template text for a learner to subject, HTML and plain text."""

from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape

import nh3

from interventions.render import liquid
from interventions.render.context import LACKING, SAMPLE, MessageContext
from interventions.render.foot import Foot
from interventions.render.markup import (
    ATTRIBUTES,
    SCHEMES,
    STYLES,
    TAGS,
    check_markup,
    with_paragraphs,
)
from interventions.render.names import one_line
from interventions.render.plain import plain_text
from interventions.render.shell import cut_at_button, fill_shell
from interventions.render.words import words_in

MAX_SUBJECT = 250
MAX_PAGE = 1_000_000

_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
    url_schemes=set(SCHEMES),
    filter_style_properties=set(STYLES),
    link_rel=None,
)


@dataclass(frozen=True)
class Rendered:
    """A rendered message."""

    subject: str
    html: str
    text: str


def render_message(
    *, subject: str, body: str, context: MessageContext, postal_address: str, locale: str = "en"
) -> Rendered:
    """Return the finished message. Raise liquid.TemplateError with the reason."""
    if context.locale != locale:
        context = replace(context, locale=locale)
    line = one_line(liquid.render_subject(subject, context))[:MAX_SUBJECT]
    inner = sanitize(with_paragraphs(liquid.render_body(body, context)))
    foot = Foot(context, one_line(postal_address), words_in(locale))
    html = _page(inner, foot, subject=line, locale=locale)
    if len(html) > MAX_PAGE:
        raise liquid.TemplateError("The mail would be larger than 1 MB. Shorten its text.")
    # From the parts: the page has pieces for mail programs that no reader sees.
    text = f"{plain_text(inner)}\n{foot.text}"
    return Rendered(subject=line, html=html, text=text)


# The form asks about each text and the operation that saves it asks again.
@lru_cache(maxsize=128)
def check_message(*, subject: str, body: str) -> None:
    """Raise liquid.TemplateError with a sentence if no complete mail can be made from the texts."""
    for context in (SAMPLE, *LACKING.values()):
        check_markup(liquid.render_body(body, context))
        render_message(subject=subject, body=body, context=context, postal_address="")


def sanitize(html: str) -> str:
    """Return the HTML without scripts, forms, frames, remote styles and unknown URL schemes."""
    return _CLEANER.clean(html)


def _page(inner: str, foot: Foot, *, subject: str, locale: str) -> str:
    is_rtl = foot.words.direction == "rtl"
    return fill_shell(
        cut_at_button(inner),
        foot=foot.html,
        locale=escape(locale),
        direction=foot.words.direction,
        side="right" if is_rtl else "left",
        subject=escape(subject),
        course=escape(one_line(foot.context.course_title)),
    )
