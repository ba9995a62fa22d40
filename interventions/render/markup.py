"""The HTML that is allowed in templates, and the check of it when a template is saved."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urlsplit

from django.utils.html import linebreaks

from interventions.render.liquid import TemplateError

_TAGS = """
    a b blockquote br code del div em h1 h2 h3 h4 h5 h6 hr i img ins li ol p pre s small span
    strong sub sup table tbody td tfoot th thead tr u ul
"""
TAGS = tuple(_TAGS.split())
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "*": frozenset({"style"}),
    "a": frozenset({"href", "title"}),
    "img": frozenset({"src", "alt", "width", "height"}),
    "ol": frozenset({"start"}),
    "td": frozenset({"align", "colspan", "rowspan", "width"}),
    "th": frozenset({"align", "colspan", "rowspan", "scope", "width"}),
    "table": frozenset({"width", "cellpadding", "cellspacing", "role"}),
}
_STYLES = """
    background-color border border-radius color display font-size font-style font-weight
    line-height margin max-width padding text-align text-decoration width
"""
STYLES = tuple(_STYLES.split())
# Elements without an end.
VOID = frozenset({"br", "hr", "img"})
SCHEMES = ("http", "https", "mailto", "tel")
_BLOCKS = re.compile(
    r"<(?:blockquote|br|div|h[1-6]|hr|li|ol|p|pre|table|ul)\b", re.ASCII | re.IGNORECASE
)
# The attribute with the address of a tag, and its allowed schemes. Pictures come from the web only.
_ADDRESSES = {"a": ("href", SCHEMES), "img": ("src", ("http", "https"))}


def with_paragraphs(html: str) -> str:
    """Return the HTML. Text without any block element gets paragraphs at empty lines.

    In HTML a line break is only a space, so plain text would become one long line.
    """
    return html if _BLOCKS.search(html) else linebreaks(html.strip())


def check_markup(html: str) -> None:
    """Raise TemplateError with a sentence for a tag that is not allowed or an incomplete link."""
    reader = _Reader()
    reader.feed(html)
    reader.close()


class _Reader(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            # Removing the tag would change the text around it: 10<x>2</x> would become 102.
            raise TemplateError(
                f"The tag <{tag}> is not allowed in a message. Allowed tags: {', '.join(TAGS)}."
            )
        for name, value in attrs:
            _check_attribute(tag, name, value or "")
        if tag in _ADDRESSES:
            name, schemes = _ADDRESSES[tag]
            _check_address(dict(attrs).get(name) or "", name, tag, schemes)


def _check_attribute(tag: str, name: str, value: str) -> None:
    if name == "style":
        _check_styles(value)
    # Markdown marks the language of code with a class, which changes nothing that is seen.
    elif name not in ATTRIBUTES["*"] | ATTRIBUTES.get(tag, frozenset()) and tag != "code":
        raise TemplateError(
            f"The attribute {name} of <{tag}> is not allowed in a message. Remove it."
        )


def _check_styles(styles: str) -> None:
    given = (each.partition(":")[0].strip().lower() for each in styles.split(";"))
    unknown = [each for each in given if each and each not in STYLES]
    if unknown:
        raise TemplateError(
            f"The style {unknown[0][:40]} is not allowed in a message. Allowed styles: "
            f"{', '.join(STYLES)}."
        )


def _check_address(address: str, name: str, tag: str, schemes: tuple[str, ...]) -> None:
    if _is_whole(address.strip(), schemes):
        return
    raise TemplateError(
        f'{name}="{address[:80]}" in <{tag}> does not work in a mail. Write a complete address, '
        "such as https://courses.example.org/cells."
    )


def _is_whole(address: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.scheme not in schemes:
        return False
    return bool(parts.hostname if parts.scheme.startswith("http") else parts.path)
