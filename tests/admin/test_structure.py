"""Each fault of structure is found in a page that has it, and in no other."""

import pytest

from tests.admin.structure import faults_of

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Learners</title><link rel="stylesheet" href="a.css"></head><body><main>
<h1>Learners</h1><h2>Ana</h2><a href="/">Start</a><button title="Close"></button>
<label for="name">Name</label><input id="name" aria-labelledby="hint"><p id="hint">In full</p>
<label>Mail <input type="email"></label><input type="hidden"><img src="a.png" alt="">
</main></body></html>"""
PLANTED = {
    "a field without a label": ('<label>Mail <input type="email"></label>', '<input type="email">'),
    "no words in <a": (">Start</a>", "></a>"),
    "no words in <button": (' title="Close"', ""),
    "no alt in": (' alt=""', ""),
    "'hint' is named by": ('id="hint"', ""),
    "'hint' is the id of several": ("<h2>", '<h2 id="hint">'),
    "no language": (' lang="en"', ""),
    "no title": ("Learners</title>", "</title>"),
    "0 elements hold the content": ("main>", "div>"),
    "2 headings of the first level": ("<h2>Ana</h2>", "<h1>Ana</h1>"),
}


def test_page_without_a_fault_has_none() -> None:
    assert faults_of(PAGE) == []


@pytest.mark.parametrize(("fault", "change"), PLANTED.items(), ids=PLANTED)
def test_fault_is_found(fault: str, change: tuple[str, str]) -> None:
    (found,) = faults_of(PAGE.replace(*change))

    assert found.startswith(fault)
