"""Styles of the words of a mail are put at its elements as the inliner of whole pages does it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interventions.render.mail import sanitize
from interventions.render.markup import TAGS
from interventions.render.mjml import _INLINER, inline_styles
from interventions.render.shell import _FOOT, _PARTS

PIECES = [
    "text", "&amp;", "&lt;p&gt;", '"', "é漢", "\n", " ", "<br>", "<hr>",
    '<a href="https://x.example/?a=1&amp;b=2" title="a > b">', "</a>",
    '<img src="https://x.example/i.png" alt="<p>">', '<p style="color:red">',
    '<table width="100%">', "<tr>", "<td>", "</td>", "</table>",
    *(f"<{tag}>" for tag in TAGS), *(f"</{tag}>" for tag in TAGS),
]  # fmt: skip


@pytest.mark.slow
@given(html=st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@pytest.mark.parametrize("css", [_PARTS, _FOOT], ids=["words", "foot"])
def test_any_words_get_the_styles_that_the_inliner_gives_them(css: str, html: str) -> None:
    words = sanitize(html)

    ours = inline_styles(words, css)

    # The inliner writes what it parses, such as "&gt;" for ">" in an attribute.
    assert _INLINER.inline_fragment(ours, "") == _INLINER.inline_fragment(words, css)
