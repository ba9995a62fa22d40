"""Compile an MJML document to HTML. Documents are checked, because mrml itself reports no mistakes.

mrml drops a misspelt tag or attribute without a word, and makes an empty mail from a document
without a body.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import mrml
from css_inline import CSSInliner
from lxml import etree

_COMMON = frozenset({"css-class", "padding"})
_TEXT = _COMMON | {"align", "color", "font-size", "font-weight", "line-height"}
# The tags that we use, with their attributes. Another one is taken for a mistake.
_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "mjml": frozenset({"dir", "lang"}),
    "mj-all": frozenset({"font-family"}),
    "mj-attributes": frozenset(),
    "mj-body": frozenset({"background-color", "css-class", "width"}),
    "mj-button": _TEXT | {"background-color", "border-radius", "href", "inner-padding"},
    "mj-column": _COMMON,
    "mj-head": frozenset(),
    "mj-raw": frozenset(),
    "mj-section": _COMMON | {"background-color", "border-radius", "direction"},
    "mj-style": frozenset(),
    "mj-text": _TEXT,
    "mj-title": frozenset(),
}
# The content of these tags is HTML or CSS, which mrml does not change.
_OPAQUE = frozenset({"mj-button", "mj-raw", "mj-style", "mj-text", "mj-title"})
# By default mrml links web fonts, and the inliner fetches style sheets. A mail loads nothing.
_OPTIONS = mrml.RenderOptions(disable_comments=True, fonts={})
# A mail with a line of over 998 bytes has to be encoded, which takes longer than all the rest.
_BLOCK_END = re.compile(r"(</(?:div|style|table|td|tr)>|<!\[endif\]-->|<tbody>|<tr>)")
# The beginning of an element, without the bracket that ends it.
_START = re.compile(r'(<(?P<name>[a-z]\w*)(?:[^>"]|"[^"]*")*)>', re.ASCII)
# Own styles have to be merged, and the parts of a table stand only in a table.
_NEEDS_PARSER = re.compile(r"\sstyle=|<table", re.ASCII)
_INLINER = CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)


class DocumentError(ValueError):
    """The document has a mistake. The message is a sentence."""


def compile_document(source: str) -> str:
    """Return the HTML with its styles at the elements. Raise DocumentError for a mistake.

    Style sheets stay too, because only they can have media rules.
    """
    check_document(source)
    html = _INLINER.inline(mrml.to_html(source, render_options=_OPTIONS).content)
    return _BLOCK_END.sub(r"\1\n", html)


def inline_styles(html: str, css: str) -> str:
    """Return the sanitized part of a page with the styles at its elements. Styles that it has win.

    `css` may only name elements.
    """
    if _NEEDS_PARSER.search(html):
        return _INLINER.inline_fragment(html, css)
    # Parsing a few paragraphs and the same rules anew for each message takes several times as long.
    return _START.sub(lambda tag: f"{tag[1]}{_style(tag['name'], css)}>", html)


@lru_cache(maxsize=256)
def _style(name: str, css: str) -> str:
    """Return the attribute with the styles of an element, after a space, or an empty text."""
    inlined = _INLINER.inline_fragment(f"<{name}>", css)
    found = re.match(rf"<{name}( style=\"[^\"]*\")?>", inlined)
    return (found and found[1]) or ""


def check_document(source: str) -> None:
    """Raise DocumentError with a sentence for an unknown tag or attribute, or without a body."""
    try:
        root = etree.fromstring(source, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise DocumentError(f"The document is not complete MJML: {error}.") from None
    if root.tag != "mjml" or root.find("mj-body") is None:
        raise DocumentError("The document needs <mjml> with <mj-body>. Without it, it is empty.")
    if not root.get("lang"):
        raise DocumentError('Name the language of the document: <mjml lang="...">.')
    for element in _elements(root):
        _check_element(element)


def _elements(element: etree._Element) -> Iterator[etree._Element]:
    yield element
    if element.tag not in _OPAQUE:
        for child in element:
            if isinstance(child.tag, str):
                yield from _elements(child)


def _check_element(element: etree._Element) -> None:
    allowed = _ATTRIBUTES.get(str(element.tag))
    if allowed is None:
        raise DocumentError(f"Unknown tag <{element.tag}>.")
    unknown = sorted(set(map(str, element.attrib)) - allowed)
    if unknown:
        raise DocumentError(f"Unknown attribute {unknown[0]} in <{element.tag}>.")
