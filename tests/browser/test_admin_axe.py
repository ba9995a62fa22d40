"""axe-core finds no fault on the pages of the admin, and they fit a narrow window."""

import pytest
from django.contrib import admin
from django.urls import reverse

from tests.admin.populated import populate
from tests.admin.test_access import lists, pages_of
from tests.browser.visits import IN_BROWSER, NARROW, WIDE, assert_accessible, sticks_out
from tests.long import longer

pytestmark = IN_BROWSER

# Boxes that search while one types are made by a script after the page has loaded.
BOXES_ARE_MADE = """() => [...document.querySelectorAll("select.admin-autocomplete")].every(
    box => box.name.includes("__prefix__") || box.classList.contains("select2-hidden-accessible")
)"""


# The models whose pages have each kind of field, row and box. Those of the others are built of the
# same parts, and tests/admin looks at the structure of all.
FEW = frozenset(
    {
        "activity.Course",
        "experiments.Experiment",
        "interventions.Cadence",
        "interventions.Delivery",
        "interventions.MessageTemplate",
        "segmentation.Segment",
    }
)
# Each is a test of its own, so that several processes share them.
PARTS = 3
# The rows of a form lie in a box of their own, which would hide what is wider.
ROWS_STICK_OUT = """[...document.querySelectorAll("[id$='-group'] table")].some(
    table => table.getBoundingClientRect().right > window.innerWidth
)"""


def some_pages():
    """Return the start, a list, and a form of each of the few models."""
    pages = [reverse("admin:index"), reverse("admin:password_change")]
    for model in (each for each in lists() if each._meta.label in FEW):
        pages += pages_of(model._default_manager.first(), "change")
    return [*pages, *(lists()[each] for each in FORMS), f"{lists()[FORMS[0]]}add/"]


def other_pages(part):
    """Return a part of the lists of all models and of a form of each, without those above."""
    pages, seen = [f"{lists()[model]}add/" for model in FORMS], {*some_pages()}
    for model, address in lists().items():
        row = model._default_manager.first()
        pages += [address, *(pages_of(row, "change") if row else [f"{address}add/"])]
    return [each for each in pages if each not in seen][part::PARTS]


FORMS = [
    model
    for model in admin.site._registry
    if model._meta.label
    in {"interventions.Cadence", "segmentation.Segment", "experiments.Experiment"}
]


# Two thirds of a page are its menu. An entry that was seen on a page before, with the same look and
# words, is taken out, and so is one that was hidden before and is hidden again. The first of each
# group stays: without any, the group would hide its heading.
LEAVE_OUT_WHAT_WAS_SEEN = """() => {
    const seen = new Set(JSON.parse(sessionStorage.seen ?? "[]"));
    const entries = "#nav-sidebar-apps li:not(:first-child), [x-show=openAllApplications]";
    for (const entry of document.querySelectorAll(entries)) {
        const known = `${entry.checkVisibility() ? "shown" : "hidden"}: ${entry.outerHTML}`;
        if (seen.has(known)) entry.remove();
        seen.add(known);
    }
    sessionStorage.seen = JSON.stringify([...seen]);
}"""


@pytest.mark.parametrize(
    "part",
    [None, *longer("test_axe_finds_no_fault_in_the_admin_and_every_page_fits", *range(PARTS))],
)
def test_axe_finds_no_fault_in_the_admin_and_every_page_fits(part, live_server, staff_context):
    populate("Ant")
    page = staff_context.new_page()
    for address in some_pages() if part is None else other_pages(part):
        answer = page.goto(live_server.url + address, wait_until="load")
        if answer.status == 403:
            continue
        assert answer.status == 200, address
        page.wait_for_function(BOXES_ARE_MADE)
        page.set_viewport_size(NARROW)
        assert sticks_out(page) <= 0, address
        assert not page.evaluate(ROWS_STICK_OUT), address
        page.set_viewport_size(WIDE)
        page.evaluate(LEAVE_OUT_WHAT_WAS_SEEN)
        assert_accessible(page, address)


def test_link_past_the_menu_leads_to_the_content(live_server, staff_context):
    page = staff_context.new_page()
    page.goto(live_server.url + reverse("admin:index"), wait_until="load")

    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
