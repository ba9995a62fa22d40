"""The text part of a mail, from its HTML."""

import re
from collections.abc import Iterator
from functools import lru_cache

from inscriptis import Inscriptis
from lxml.etree import ParserError
from lxml.html import HtmlElement, fragment_fromstring

from interventions.render.liquid import TemplateError
from interventions.render.markup import VOID

# A tag, or the place before a paragraph or heading. There is an empty line at such a place anyway,
# unless a style says otherwise.
_MARK = re.compile(
    r'<(?P<end>/?)(?P<name>\w+)(?:[^>"]|"[^"]*")*>|(?<=>)\s*(?=<(?:p|h[1-6])>)', re.ASCII
)
_HIDDEN = "//*[contains(translate(@style, ' ', ''), 'display:none')]"
_END = "@@end@@"
_NOT_WHOLE = "The plain text of the mail would be empty. Nest fewer elements inside one another."
_PUNCTUATION = re.compile(r"\s*([.,;:!?)]*)")


def plain_text(html: str) -> str:
    """Return the HTML as text without hidden elements. Each link address gets its own line.

    A picture becomes its description. Raise TemplateError if the text would not be whole.
    """
    texts = map(_text_of_part, _parts(html))
    return "\n\n".join(text for text in texts if text).strip() + "\n"


def _parts(html: str) -> Iterator[str]:
    """Cut the HTML before paragraphs and headings that stand inside no other element."""
    begin = depth = 0
    for mark in _MARK.finditer(html):
        if mark["name"] is None:
            if depth == 0:
                yield html[begin : mark.start()]
                begin = mark.end()
        elif mark["name"] not in VOID:
            depth += -1 if mark["end"] else 1
    yield html[begin:]


# Most paragraphs of a template are the same for many learners, and the layout takes longer than all
# other rendering.
@lru_cache(maxsize=1024)
def _text_of_part(html: str) -> str:
    # With elements nested hundreds deep, the parser gives up, and the rest of the text is lost.
    text = _text(f"{html}<p>{_END}</p>")
    if not text.endswith(_END):
        raise TemplateError(_NOT_WHOLE)
    return text.removesuffix(_END).rstrip(" \t\n")


def _text(html: str) -> str:
    try:
        root = fragment_fromstring(html, create_parent="body")
    except ParserError:
        return ""
    for hidden in root.xpath(_HIDDEN):
        hidden.drop_tree()
    for picture in list(root.iter("img")):
        _put(picture, picture.get("alt") or "")
    for link in list(root.iter("a")):
        _write_out(link)
    text = re.sub(r"[ \t]+\n", "\n", Inscriptis(root).get_text())
    return re.sub(r"\n{3,}", "\n\n", text).lstrip("\n").rstrip()


def _put(element: HtmlElement, text: str) -> None:
    """Replace the element by the text."""
    element.tail = text + (element.tail or "")
    element.drop_tree()


def _write_out(link: HtmlElement) -> None:
    """Replace the link by its words with its address below.

    The words end with a colon, and a full stop after the link is left out.
    """
    address = (link.get("href") or "").strip()
    words = " ".join(link.text_content().split())
    if not address:
        _put(link, words)
        return
    link.tail = _PUNCTUATION.sub("", link.tail or "", count=1)
    for child in list(link):
        link.remove(child)
    link.attrib.clear()
    link.tag = "span"
    shown = address.removeprefix("mailto:").removeprefix("tel:")
    is_address = words in ("", address, shown, shown.partition("//")[2])
    link.text = "" if is_address else f"{words.rstrip('.:')}:"
    first, last = link.makeelement("br"), link.makeelement("br")
    first.tail = shown
    link.extend([first, last])
