"""axe-core finds no fault on the pages of the admin."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib import admin
from django.urls import reverse

from tests.admin.test_access import lists, pages_of, populate
from tests.browser.visits import IN_BROWSER

pytestmark = IN_BROWSER

# Boxes that search while one types are made by a script after the page has loaded.
BOXES_ARE_MADE = """() => [...document.querySelectorAll("select.admin-autocomplete")].every(
    box => box.name.includes("__prefix__") || box.classList.contains("select2-hidden-accessible")
)"""


def admin_pages(scheme):
    """Return the list of each model and a form; in dark only some, as they share their styles."""
    pages = [reverse("admin:index"), reverse("admin:password_change")]
    for model, address in lists().items():
        row = model._default_manager.first()
        pages += [address, *(pages_of(row, "change") if row else [f"{address}add/"])]
    pages += [f"{address}add/" for address in map(lists().get, FORMS)]
    return pages if scheme == "light" else pages[::6]


FORMS = [
    model
    for model in admin.site._registry
    if model._meta.label
    in {"interventions.Cadence", "segmentation.Segment", "experiments.Experiment"}
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_the_admin(scheme, live_server, staff_context):
    populate("Ant")
    page = staff_context.new_page()
    page.emulate_media(color_scheme=scheme)
    for address in admin_pages(scheme):
        answer = page.goto(live_server.url + address, wait_until="load")
        if answer.status == 403:
            continue
        assert answer.status == 200, address
        page.wait_for_function(BOXES_ARE_MADE)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"


def test_link_past_the_menu_leads_to_the_content(live_server, staff_context):
    page = staff_context.new_page()
    page.goto(live_server.url + reverse("admin:index"), wait_until="load")

    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
