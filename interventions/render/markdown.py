"""Markdown to HTML. Liquid in the text stays as it is, and HTML in the text is shown as text."""

import re
from functools import cache
from itertools import chain

from markdown_it import MarkdownIt

_BEGIN = re.compile(r"\{[{%]")
_END = {"{{": "}}", "{%": "%}"}


def html_of(source: str) -> str:
    """Return the Markdown as HTML. A line break in the text is a line break in the message."""
    mark = _unused("liquid", source)
    texts, parts = _split(source)
    # A mark of letters and digits is a word to Markdown, even in the address of a link.
    marks = [f"{mark}{place}x" for place in range(len(parts))]
    html = _reader().render("".join(chain(*zip(texts, [*marks, ""], strict=True))))
    # A paragraph of tags alone, such as {% if next_item %}, would be an empty one in the message.
    tags = "|".join(str(place) for place, part in enumerate(parts) if part.startswith("{%"))
    if tags:
        html = re.sub(rf"<p>((?:{mark}(?:{tags})x\s*)+)</p>", r"\1", html)
    return re.sub(rf"{mark}(\d+)x", lambda found: parts[int(found[1])], html)


def _split(source: str) -> tuple[list[str], list[str]]:
    """Return the texts between Liquid parts, and the parts, of which there is one less.

    A regular expression would look for the end of each part that never ends, again and again.
    """
    texts, parts = [], []
    begins, at, endless = 0, 0, set()
    while found := _BEGIN.search(source, at):
        at = found.end()
        ends = -1 if found[0] in endless else source.find(_END[found[0]], at)
        if ends < 0:
            endless.add(found[0])
            continue
        at = ends + 2
        texts.append(source[begins : found.start()])
        parts.append(source[found.start() : at])
        begins = at
    return [*texts, source[begins:]], parts


@cache
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "breaks": True})


def _unused(mark: str, text: str) -> str:
    while mark in text:
        mark += "q"
    return mark
