"""The text part of a mail, made from parts that are kept, is that of the whole HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interventions.render.mail import sanitize
from interventions.render.plain import _END, _text, plain_text

WORDS = st.sampled_from(["", " ", "Go on", "a\n b ", "&nbsp;", "&lt;p&gt;", "</p>", "  * x"])
TAGS = st.sampled_from(
    ["p", "h1", "h3", "div", "ul", "ol", "li", "blockquote", "pre", "b", "table", "tr", "td",
     'p style="display: inline"', 'div style="display:none"', 'a href="https://x.example/?a=1&b"',
     "a href=\"https://x.example/\" title='</p> <p>'"]
)  # fmt: skip


def element(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    some = st.lists(inner, max_size=4).map("".join)
    return st.tuples(TAGS, some).map(lambda it: f"<{it[0]}>{it[1]}</{it[0].split()[0]}>")


NODES = st.recursive(WORDS | st.sampled_from(["<br>", "<hr>", '<img alt="A cat">']), element)


@pytest.mark.slow
@given(nodes=st.lists(NODES, min_size=1, max_size=8))
def test_text_made_in_parts_is_that_of_the_whole(nodes: list[str]) -> None:
    html = sanitize("".join(nodes))

    whole = _text(f"{html}<p>{_END}</p>").removesuffix(_END).strip() + "\n"

    assert plain_text(html) == whole
