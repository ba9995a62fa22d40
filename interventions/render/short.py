"""Render a template text for a channel that shows a title and a few lines, not a whole mail."""

from collections.abc import Collection

from interventions.models import TemplateText
from interventions.render import liquid
from interventions.render.context import LACKING, SAMPLE, MessageContext
from interventions.render.features import Feature, check_features
from interventions.render.mail import MAX_SUBJECT, Rendered, sanitize
from interventions.render.markup import check_markup, with_paragraphs
from interventions.render.names import one_line
from interventions.render.plain import plain_text


def render_short(*, subject: str, body: str, context: MessageContext) -> Rendered:
    """Return title, safe HTML and text. Raise liquid.TemplateError with the reason."""
    title = one_line(liquid.render_subject(subject, context))[:MAX_SUBJECT]
    html = sanitize(with_paragraphs(liquid.render_body(body, context)))
    text = plain_text(html)
    if not title or not text.strip():
        raise liquid.TemplateError("The title or the text would be empty.")
    return Rendered(subject=title, html=html, text=text)


def check_short(*, subject: str, body: str, supports: Collection[Feature] = ()) -> None:
    """Raise liquid.TemplateError with a sentence if no short message can be made from the texts."""
    for context in (SAMPLE, *LACKING.values()):
        html = liquid.render_body(body, context)
        check_markup(html)
        check_features(html, supports=supports)
        render_short(subject=subject, body=body, context=context)


def preview_short(text: TemplateText) -> Rendered:
    """Return the text with example values. Raise TemplateError if it cannot be rendered."""
    return render_short(subject=text.subject, body=text.body, context=SAMPLE)
