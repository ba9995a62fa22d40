"""Render a template text for a learner to subject, HTML and plain text."""

from dataclasses import dataclass

import nh3
from django.utils.html import escape

from interventions.render import liquid
from interventions.render.context import LACKING, SAMPLE, MessageContext
from interventions.render.markup import SCHEMES, TAGS, check_markup, with_paragraphs
from interventions.render.names import one_line
from interventions.render.plain import plain_text

MAX_SUBJECT = 250

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
    line = one_line(liquid.render_subject(subject, context))[:MAX_SUBJECT]
    inner = sanitize(with_paragraphs(liquid.render_body(body, context)))
    footer = _footer(context, postal_address)
    html = _PAGE.format(locale=escape(locale), subject=escape(line), body=inner, footer=footer)
    text = plain_text(f"{inner}<hr>{footer}")
    # With elements nested hundreds deep, the HTML parser gives up and the text is empty.
    if context.unsubscribe_url not in text:
        raise liquid.TemplateError(
            "The plain text of the mail would be empty. Nest fewer elements inside one another."
        )
    return Rendered(subject=line, html=html, text=text)


def check_message(*, subject: str, body: str) -> None:
    """Raise liquid.TemplateError with a sentence if no complete mail can be made from the texts."""
    for context in (SAMPLE, *LACKING.values()):
        check_markup(liquid.render_body(body, context))
        render_message(subject=subject, body=body, context=context, postal_address="")


def sanitize(html: str) -> str:
    """Return the HTML without scripts, forms, frames, remote styles and unknown URL schemes."""
    return nh3.clean(
        html,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes=set(SCHEMES),
        filter_style_properties=set(_STYLES.split()),
        link_rel=None,
    )


def _footer(context: MessageContext, postal_address: str) -> str:
    reason = one_line(context.reason).rstrip(".")
    return _FOOTER.format(
        course=escape(context.course_title),
        reason=f" It comes now because {escape(reason)}." if reason else "",
        postal_address=escape(one_line(postal_address)),
        unsubscribe_url=escape(context.unsubscribe_url),
        preferences_url=escape(context.preferences_url),
    )


_FOOTER = (
    "<p>You get this mail because you take part in {course}.{reason}</p>"
    '<p><a href="{preferences_url}">Choose what you get</a><br>'
    '<a href="{unsubscribe_url}">Unsubscribe</a></p>'
    "<p>{postal_address}</p>"
)

_PAGE = """<!doctype html>
<html lang="{locale}">
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
