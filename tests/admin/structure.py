"""Faults in the structure of a page that keep it from a screen reader, found without a browser.

axe-core finds them too, and more, in the pages that a browser opens: that takes a second per page.
"""

import re
from collections import Counter

from lxml import html

# Fields that nobody fills in, and buttons, which have words of their own.
NO_FIELDS = frozenset({"hidden", "submit", "button", "image", "reset"})
NAMED_BY = ("aria-label", "title", "alt", "placeholder")
# Django describes a field by its help text even where a template leaves that out.
REFERENCES = ("aria-labelledby", "aria-errormessage")
# A script labels the fields in the rows of a form by the heads of their columns.
IN_A_ROW = re.compile(r"-(\d+|__prefix__)-")


def faults_of(text: str) -> list[str]:
    """Return the faults of the page, each with the element in which it is."""
    page = html.fromstring(text)
    found = [f"a field without a label: {_shown(each)}" for each in _fields(page)]
    found += [f"no words in {_shown(each)}" for each in page.iter("a", "button") if _is_mute(each)]
    found += [f"no alt in {_shown(each)}" for each in page.iter("img") if "alt" not in each.attrib]
    # The page of a mail has no style sheet of ours, and a part of a page has no head.
    is_whole = bool(page.xpath("//head/link[@rel='stylesheet']"))
    return [*found, *_lost_references(page), *(_of_the_whole(page) if is_whole else ())]


def _shown(element: html.HtmlElement) -> str:
    return html.tostring(element, encoding="unicode", with_tail=False)[:120]


def _fields(page: html.HtmlElement) -> list[html.HtmlElement]:
    """Return the fields without a name for those who hear the page."""
    labels = {each.get("for") for each in page.iter("label") if each.text_content().strip()}
    return [
        field
        for field in page.iter("input", "select", "textarea")
        if field.get("type") not in NO_FIELDS
        and not IN_A_ROW.search(field.get("name", ""))
        and field.get("id") not in labels
        and not _is_named(field)
        and not any(each.tag == "label" for each in field.iterancestors())
    ]


def _is_named(element: html.HtmlElement) -> bool:
    return any((element.get(name) or "").strip() for name in (*NAMED_BY, "aria-labelledby"))


def _is_mute(element: html.HtmlElement) -> bool:
    if element.tag == "a" and "href" not in element.attrib:
        return False
    words = element.text_content().strip()
    return not words and not any(_is_named(each) for each in element.iter())


def _lost_references(page: html.HtmlElement) -> list[str]:
    ids = Counter(page.xpath("//@id"))
    asked = {
        one: each
        for each in page.iter()
        for name in REFERENCES
        for one in each.get(name, "").split()
    }
    lost = [f"{one!r} is named by {_shown(each)}" for one, each in asked.items() if one not in ids]
    return [*lost, *(f"{one!r} is the id of several" for one in asked if ids[one] > 1)]


def _of_the_whole(page: html.HtmlElement) -> list[str]:
    found = [] if page.get("lang") else ["no language"]
    if not (page.findtext(".//title") or "").strip():
        found += ["no title"]
    mains = page.xpath("//main | //*[@role='main']")
    titles = page.xpath("//h1")
    found += [] if len(mains) == 1 else [f"{len(mains)} elements hold the content"]
    return found if len(titles) == 1 else [*found, f"{len(titles)} headings of the first level"]
