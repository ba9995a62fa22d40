"""The report in a real browser: on paper nothing is cut, and the list loads its answers."""

import pytest
from django.urls import reverse

from experiments.models import Experiment
from tests.browser.test_pages import (
    CHROMIUM,
    browser,
    context,
    database_outlives_the_server,
    enrollments,
    staff_context,
    visit,
)

# A4 with the margins of the print sheet, in CSS pixels.
PAPER = {"width": 688, "height": 1000}

__all__ = ["browser", "context", "database_outlives_the_server", "enrollments", "staff_context"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.django_db(transaction=True),
]
CUT = """[...document.querySelectorAll('main *')].filter(part =>
    part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflowX != 'visible'
    && getComputedStyle(part).position != 'absolute').length"""


def test_report_on_paper_is_not_cut(live_server, staff_context, enrollments):
    address = reverse("experiments:report", args=(Experiment.objects.get().key,))
    page, faults = visit(staff_context, live_server.url + address, PAPER)
    sure = page.locator("details p").first
    assert not sure.is_visible()

    page.emulate_media(media="print", color_scheme="dark")

    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER["width"]
    assert page.evaluate(CUT) == 0
    assert sure.is_visible()
    assert not page.locator("header.site").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_list_of_reports_loads_its_answers(live_server, staff_context, enrollments):
    page, faults = visit(staff_context, live_server.url + reverse("experiments:report-list"))

    answer = page.locator(".reports .answer")
    page.get_by_text("No difference was found between").or_(
        page.get_by_text("It is not known whether")
    ).first.wait_for()
    assert "The answer is in the report." not in answer.inner_text()
    assert faults == []
