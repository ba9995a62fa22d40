"""The page of a cadence in a browser: its goal and the condition of a step, built by conditions."""

import pytest
from django.urls import reverse

from interventions.models import Cadence, Step
from tests.browser.visits import IN_BROWSER, assert_accessible, assert_fits, visit
from tests.factories import NOW, make_course, make_enrollment
from tests.interventions.factories import arm_of, make_cadence, make_experiment
from tests.segmentation.factories import QUIET, make_playbook, make_segment

pytestmark = IN_BROWSER


@pytest.fixture
def cadence():
    """Return a cadence with one step for a course with two learners."""
    course = make_course(title="Biology 2025", clock_stopped_at=NOW)
    for _ in range(2):
        make_enrollment(course)
    segment = make_segment(make_playbook(course), QUIET, name="Quiet")
    return make_cadence(segment=segment, name="Try the quiz")


# A placeholder has no width of its own. As a value it has.
CUT_OFF = """[...document.querySelectorAll("form fieldset input[placeholder]")].filter(box => {
    box.value = box.placeholder;
    return box.scrollWidth > box.clientWidth;
}).map(box => `${box.name}: ${box.placeholder}`)"""


def open_page(context, live_server, cadence):
    address = reverse("admin:interventions_cadence_change", args=(cadence.pk,))
    return visit(context, live_server.url + address)


def test_goal_is_built_by_conditions_and_found_again(live_server, staff_context, cadence):
    page, faults = open_page(staff_context, live_server, cadence)
    page.get_by_text("When it stops for a learner").click()
    page.get_by_role("button", name="Add a goal").click()
    page.get_by_label("Signal").select_option(label="quiz attempts")
    page.get_by_label("Value", exact=True).fill("some")
    page.locator(".field-goal_rule .fault").get_by_text("number").wait_for()
    page.get_by_label("Value", exact=True).fill("1")
    page.locator(".said", has_text="0 of 2 learners").wait_for()

    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/cadence/")

    (condition,) = Cadence.objects.get().goal_rule["rules"]
    assert (condition["field"], condition["value"]) == ("quiz_attempts", 1)
    again, _ = open_page(staff_context, live_server, cadence)
    again.get_by_text("When it stops for a learner").click()
    assert again.get_by_label("Value", exact=True).input_value() == "1"
    assert faults == []


@pytest.mark.long("test_goal_is_built_by_conditions_and_found_again")
def test_condition_of_a_step_is_added_and_removed_again(live_server, staff_context, cadence):
    page, faults = open_page(staff_context, live_server, cadence)
    page.get_by_role("button", name="Send it only if").press("Enter")
    page.locator(".said", has_text="of 2 learners").wait_for()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/cadence/")
    assert Step.objects.get().condition is not None

    again, _ = open_page(staff_context, live_server, cadence)
    again.get_by_role("button", name="Remove these conditions").press("Enter")
    again.get_by_role("button", name="Save", exact=True).click()
    again.wait_for_url("**/cadence/")

    assert Step.objects.get().condition is None
    assert faults == []


def test_row_added_to_the_steps_has_its_own_condition(live_server, staff_context, cadence):
    page, faults = open_page(staff_context, live_server, cadence)
    page.get_by_text("Add another Step").click()

    page.get_by_role("button", name="Send it only if").nth(1).click()
    page.wait_for_function("document.getElementsByName('steps-1-condition')[0].value != ''")

    assert page.locator("[name=steps-0-condition]").input_value() == ""
    assert faults == []


@pytest.mark.long(
    "tests/browser/test_admin_axe.py::test_axe_finds_no_fault_in_the_admin_and_every_page_fits"
)
def test_axe_finds_no_fault_and_the_page_fits(live_server, staff_context, cadence):
    question = "Does a nudge bring learners who only watch videos to the quiz?"
    experiment = make_experiment(cadence.segment, name=question, start=False)
    arms = {"arm": arm_of(experiment, "nudge"), "ghost_for": arm_of(experiment, "control")}
    Cadence.objects.update(**arms)
    page, faults = open_page(staff_context, live_server, cadence)
    page.evaluate("document.querySelectorAll('fieldset details').forEach(one => one.open = true)")
    page.get_by_role("button", name="Add a goal").click()
    page.locator(".said", has_text="of 2 learners").wait_for()
    page.locator(".field-arm .select2-selection__rendered", has_text=question).wait_for()

    assert_fits(page, "cadence")
    assert_accessible(page, "cadence")
    assert page.evaluate(CUT_OFF) == []
    assert faults == []
