"""The page around the words of a mail: compiled once, then filled for each message."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from interventions.render.markup import VOID
from interventions.render.mjml import compile_document, inline_styles

_SOURCE = Path(__file__).with_name("shell.mjml")
_PLACE = re.compile(r"@@(\w+)@@")
_WORDS = '<mj-text css-class="words">@@{}@@</mj-text>'
_BUTTON = '<mj-button href="@@address@@">@@label@@</mj-button>'

# The styles of the HTML that staff write.
_PARTS = """
p, ul, ol, blockquote, pre, table { margin: 0 0 16px; }
ul, ol { padding: 0 0 0 24px; }
li { margin: 0 0 4px; }
h1 { font-size: 24px; line-height: 1.3; margin: 0 0 16px; }
h2 { font-size: 20px; line-height: 1.3; margin: 8px 0 12px; }
h3, h4, h5, h6 { font-size: 16px; margin: 8px 0 8px; }
a { color: #6d28d9; }
img { max-width: 100%; height: auto; }
blockquote { border-left: 3px solid #d9dde4; padding: 0 0 0 16px; }
th, td { padding: 4px 12px 4px 0; text-align: left; vertical-align: top; }
"""
_FOOT = "p { margin: 0 0 8px; } a { color: #6d28d9; }"

# A link that stands alone in a paragraph, as nh3 writes it.
_ALONE = re.compile(
    r'<p>\s*<a href="(?P<address>[^"]*)"[^>]*>(?P<label>(?:[^<]|</?(?:b|strong|em|i)>)+)</a>\s*</p>'
)
_TAG = re.compile(r"<(/?)(\w+)")


@dataclass(frozen=True)
class Words:
    """The HTML of a message, cut at its button. Without a button it is all in `before`."""

    before: str
    address: str = ""
    label: str = ""
    after: str = ""


def cut_at_button(html: str) -> Words:
    """Return the sanitized HTML, cut at the first link that stands alone in a paragraph.

    One mail has one button, so that the learner sees at once what to do. The other links stay
    links, and so does one inside a list or a table, where a button cannot be.
    """
    for link in _ALONE.finditer(html):
        before = html[: link.start()]
        if _is_whole(before):
            return Words(before, link["address"], link["label"], html[link.end() :])
    return Words(html)


def fill_shell(words: Words, *, foot: str, **texts: str) -> str:
    """Return the whole page. `texts` are the other places of the shell, as HTML."""
    parts = {
        "before": inline_styles(words.before, _PARTS),
        "after": inline_styles(words.after, _PARTS) if words.after else "",
        "foot": inline_styles(foot, _FOOT),
        "address": words.address,
        "label": words.label,
    }
    return _filled(_shell(has_button=bool(words.address)), texts | parts)


@cache
def _shell(*, has_button: bool) -> tuple[str, ...]:
    """Return the compiled page in pieces: text, name of a place, text, and so on."""
    content = _WORDS.format("before")
    if has_button:
        content += _BUTTON + _WORDS.format("after")
    source = _SOURCE.read_text().replace("@@words@@", content)
    return tuple(_PLACE.split(compile_document(source)))


def shells() -> list[list[str]]:
    """Return the fixed texts of each kind of page, in order, without its places."""
    return [list(_shell(has_button=each)[::2]) for each in (True, False)]


def _filled(pieces: tuple[str, ...], values: Mapping[str, str]) -> str:
    filled = list(pieces)
    filled[1::2] = [values[name] for name in pieces[1::2]]
    return "".join(filled)


def _is_whole(html: str) -> bool:
    """Return whether every element is closed."""
    tags = [(end, name) for end, name in _TAG.findall(html) if name not in VOID]
    return sum(-1 if end else 1 for end, _ in tags) == 0
