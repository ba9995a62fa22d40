"""Markdown to HTML. Liquid in the text stays as it is, and HTML in the text is shown as text."""

import re
from functools import cache

from markdown_it import MarkdownIt

_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def html_of(source: str) -> str:
    """Return the Markdown as HTML. A line break in the text is a line break in the message."""
    mark = _unused("liquid", source)
    parts = _LIQUID.findall(source)
    # A mark of letters and digits is a word to Markdown, even in the address of a link.
    numbers = iter(range(len(parts)))
    marked = _LIQUID.sub(lambda _: f"{mark}{next(numbers)}x", source)
    html = _reader().render(marked)
    # A paragraph of tags alone, such as {% if next_item %}, would be an empty one in the message.
    tags = "|".join(str(place) for place, part in enumerate(parts) if part.startswith("{%"))
    if tags:
        html = re.sub(rf"<p>((?:{mark}(?:{tags})x\s*)+)</p>", r"\1", html)
    return re.sub(rf"{mark}(\d+)x", lambda found: parts[int(found[1])], html)


@cache
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "breaks": True})


def _unused(mark: str, text: str) -> str:
    while mark in text:
        mark += "q"
    return mark
