"""Sandboxed Liquid for admins: no files, no clock, no endless loops, no unknown variables."""

from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, DictLoader, Environment, FalsyStrictUndefined
from liquid.exceptions import LiquidError

from interventions.render.bounds import (
    MAX_RANGE,
    MAX_TEXT,
    BoundedTemplate,
    bounded,
    check_length,
    check_ranges,
    replace_text,
)
from interventions.render.context import KNOWN_VARIABLES, LACKING, SAMPLE, MessageContext
from interventions.render.filters import as_sentence, counted, truncated

# The other filters read the clock (date), turn off escaping (safe) or build lists of any length.
_FILTERS = """
    abs append at_least at_most capitalize ceil default divided_by downcase escape escape_once
    floor lstrip minus modulo plus prepend remove replace round rstrip size strip times truncate
    truncatewords upcase url_encode
"""
_TAGS = """
    assign break capture case comment continue cycle echo for if unless #
    content output illegal
"""


class TemplateError(ValueError):
    """The template cannot be used. The message is a sentence for its author."""


class _Sandbox(Environment):
    template_class = BoundedTemplate
    loop_iteration_limit = MAX_RANGE
    output_stream_limit = MAX_TEXT
    local_namespace_limit = MAX_TEXT


def _sandbox(*, autoescape: bool) -> Environment:
    sandbox = _Sandbox(
        # A missing variable may be tested and may get a default, but writing it is an error. A
        # misspelt name is refused earlier, because `default` would hide it.
        undefined=FalsyStrictUndefined,
        strict_filters=True,
        autoescape=autoescape,
        loader=DictLoader({}),
    )
    sandbox.filters = {name: bounded(sandbox.filters[name]) for name in _FILTERS.split()}
    sandbox.filters["replace"] = bounded(replace_text)
    sandbox.filters["count"] = bounded(counted)
    sandbox.filters["sentence"] = bounded(as_sentence)
    sandbox.filters["truncate"] = bounded(truncated)
    sandbox.tags = {name: sandbox.tags[name] for name in _TAGS.split()}
    return sandbox


# A subject is not HTML. With escaping, the reader would see "&amp;".
_SUBJECT = _sandbox(autoescape=False)
_BODY = _sandbox(autoescape=True)


def render_subject(source: str, context: MessageContext) -> str:
    """Return the rendered subject. Raise TemplateError."""
    return _render(_parse_subject, source, context)


def render_body(source: str, context: MessageContext) -> str:
    """Return the rendered body, with all variables HTML-escaped. Raise TemplateError."""
    return _render(_parse_body, source, context)


def check(source: str, *, html: bool) -> None:
    """Raise TemplateError with a sentence if the source cannot be rendered for every learner."""
    parse, render = (_parse_body, render_body) if html else (_parse_subject, render_subject)
    _check_variables(_parsed(parse, source))
    render(source, SAMPLE)
    for sentence, context in LACKING.items():
        try:
            render(source, context)
        except TemplateError:
            raise TemplateError(f"{sentence}.") from None


def _check_variables(template: BoundTemplate) -> None:
    paths = (found for uses in template.analyze().globals.values() for found in uses)
    unknown = sorted({str(path) for path in paths} - set(KNOWN_VARIABLES))
    if unknown:
        raise TemplateError(
            f"Unknown variable '{unknown[0]}'. Known variables: {', '.join(KNOWN_VARIABLES)}."
        )


def _render(parse: Any, source: str, context: MessageContext) -> str:
    try:
        return str(parse(source).render(**context.variables))
    except (LiquidError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise TemplateError(_sentence(error)) from error


def _parsed(parse: Any, source: str) -> BoundTemplate:
    try:
        template: BoundTemplate = parse(source)
    except (LiquidError, RecursionError, ValueError) as error:
        raise TemplateError(_sentence(error)) from error
    return template


@lru_cache(maxsize=512)
def _parse_subject(source: str) -> BoundTemplate:
    return check_ranges(_SUBJECT.from_string(check_length(source)))


@lru_cache(maxsize=512)
def _parse_body(source: str) -> BoundTemplate:
    return check_ranges(_BODY.from_string(check_length(source)))


def _sentence(error: Exception) -> str:
    # The first line is the message. The other lines show the place in the template.
    lines = str(error).strip().splitlines() or [type(error).__name__]
    place = next((line.split("'")[-1].strip() for line in lines if "->" in line), "")
    return f"The template cannot be rendered: {lines[0]}" + (f" (at {place})." if place else ".")
