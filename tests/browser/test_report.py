"""The report and the import of learners in a real browser: on paper, and by keyboard."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from activity.models import Course, Learner
from activity.queries import telling_progress
from interventions.operations import pause_site
from segmentation.models import Playbook
from tests.browser.visits import IN_BROWSER, assert_accessible, assert_fits, visit
from tests.experiments.factories import assign, make_segment, running_experiment
from tests.factories import NOW, act, make_course, make_enrollment

pytestmark = IN_BROWSER
# A4 with the margins of the print sheet, in CSS pixels.
PAPER = {"width": 688, "height": 1000}
CUT = """[...document.querySelectorAll('main *')].filter(part =>
    part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflowX != 'visible'
    && getComputedStyle(part).position != 'absolute').length"""


@pytest.fixture
def course():
    """Return a course with an experiment in which the nudge helped."""
    course = make_course(title="Biology 2025", clock_stopped_at=NOW + timedelta(days=10))
    experiment = running_experiment(key="nudge", name="Nudge", segment=make_segment(course))
    for arm, reached in (("control", 3), ("nudge", 11)):
        for place in range(12):
            learner = make_enrollment(course)
            assign(experiment, arm, NOW, learner)
            if place < reached:
                act(learner, "ATTEMPT_QUIZ", occurred_at=NOW)
    return course


def test_report_on_paper_is_not_cut(live_server, staff_context, course):
    page, faults = visit(staff_context, live_server.url + "/reports/nudge/", PAPER)
    sure = page.locator("details p").first
    assert not sure.is_visible()
    assert page.locator(".sideways").is_visible()

    page.emulate_media(media="print", color_scheme="dark")

    assert not page.locator(".sideways").is_visible()
    # A note below the table refers to this title.
    assert page.locator("summary", has_text="How sure is this?").first.is_visible()

    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER["width"]
    assert page.evaluate(CUT) == 0
    assert sure.is_visible()
    assert not page.locator("header.site").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_playbook_on_paper_is_dark_on_white_without_navigation(live_server, staff_context, course):
    # The banner of a pause is white on red.
    pause_site(paused=True, now=NOW)
    address = reverse("playbook", args=(Playbook.objects.get().pk,))
    page, faults = visit(staff_context, live_server.url + address, PAPER)

    page.emulate_media(media="print", color_scheme="dark")

    assert faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER["width"]
    assert page.evaluate(CUT) == 0
    for part in ("header.site", ".held", ".actions"):
        assert not page.locator(part).first.is_visible(), part
    assert page.locator("h1").is_visible()
    colors = "[getComputedStyle(document.body).color, getComputedStyle(document.body).background]"
    ink, ground = page.evaluate(colors)
    assert ink == "rgb(0, 0, 0)"
    assert ground.startswith("rgb(255, 255, 255)")


def test_answer_is_one_click_from_the_start_page(live_server, staff_context, course):
    page, faults = visit(staff_context, live_server.url + reverse("home"))

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Reports").click()

    page.get_by_text("Learners in “nudge” did better: 11 of 12 learners").wait_for()
    assert page.get_by_role("link", name="Nudge (Biology 2025)").is_visible()
    assert faults == []


def test_learners_are_imported_with_the_keyboard(live_server, staff_context, course):
    page, faults = visit(staff_context, live_server.url + reverse("activity:import"))
    already = Learner.objects.count()

    page.get_by_label("Course").select_option(label="Biology 2025")
    page.get_by_label("Or paste the cells here").fill("Id;Name\nn1;Ana\n;Nobody\n")
    page.get_by_role("button", name="Next: the columns").press("Enter")
    page.get_by_label("Id", exact=True).wait_for()
    check(page)
    page.get_by_role("button", name="Show what would happen").press("Enter")
    page.get_by_text("The id of the learner is missing.").wait_for()
    check(page)
    assert Learner.objects.count() == already
    page.get_by_role("button", name="Import 1 row").press("Enter")
    page.get_by_text("1 row is imported into Biology 2025.").wait_for()

    assert Learner.objects.filter(external_id="n1", name="Ana").exists()
    assert faults == []


def test_import_says_that_it_works_until_the_answer_comes(live_server, staff_context, course):
    page, faults = visit(staff_context, live_server.url + reverse("activity:import"))
    assert page.get_by_text("at most 5,000 lines").is_visible()
    assert page.locator("#working progress").count() == 0
    page.get_by_label("Course").select_option(label="Biology 2025")
    # The answer would come too soon to look at the page.
    page.evaluate(
        "document.querySelector('main form').addEventListener('submit', it => it.preventDefault())"
    )

    page.get_by_role("button", name="Next: the columns").click()

    assert page.locator("#working progress").is_visible()
    assert "Leave this page open" in page.locator("#working").inner_text()
    assert page.get_by_role("button", name="Next: the columns").is_disabled()
    with telling_progress(get_user_model().objects.get(), Course.objects.get(), of=5_000) as tell:
        tell(2_000)
        page.get_by_text("2,000 of 5,000 rows for Biology 2025 are done").wait_for()
    check(page)
    assert faults == []


def check(page):
    """Check that the step fits wide and narrow windows, and that axe finds no fault."""
    assert_fits(page, page.url)
    assert_accessible(page, page.url)
