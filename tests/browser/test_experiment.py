"""An experiment in a real browser: create, check, start, look, stop and read."""

import re

from django.urls import reverse

from common.clock import utc_now
from experiments.metrics.definitions import WEEK
from experiments.models import Assignment, Experiment
from experiments.operations import draw_arms
from tests.browser.visits import IN_BROWSER, visit
from tests.experiments.factories import make_segment
from tests.factories import act, make_course, make_enrollment

pytestmark = IN_BROWSER


def test_an_experiment_from_its_draft_to_its_answer(live_server, staff_context):
    now = utc_now()
    course = make_course(title="Biology", live_since=now - 4 * WEEK)
    segment = make_segment(course)
    segment.name = "Have not tried a quiz"
    segment.save()
    page, faults = visit(
        staff_context, live_server.url + reverse("admin:experiments_experiment_add")
    )
    page.set_default_timeout(15_000)
    page.on("dialog", lambda dialog: dialog.accept())

    create(page)
    experiment = Experiment.objects.get()
    assert (experiment.key, experiment.status, experiment.segment) == (
        "quiz-nudge", "draft", segment,
    )  # fmt: skip
    change, check, report = (
        live_server.url + reverse(name, args=(argument,))
        for name, argument in (
            ("admin:experiments_experiment_change", experiment.pk),
            ("experiments:check", experiment.key),
            ("experiments:report", experiment.key),
        )
    )

    mark_as_checked(page, check)

    # From the start on, nothing that the report prints can be edited.
    page.goto(change)
    page.get_by_role("button", name="Start, without present members").click()
    page.get_by_text("Quiz nudge (Biology) is running.").wait_for()
    assert page.locator("[name=segment]").count() == 0

    draw_and_help(experiment, course, at=now - 3 * WEEK)
    page.goto(report)
    page.get_by_text("So far, learners in “nudge” did better").wait_for()
    page.get_by_text("running", exact=True).wait_for()

    page.goto(change)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text(re.compile("stopped", re.IGNORECASE)).first.wait_for()
    assert draw_arms(experiment.pk, [make_enrollment(course).pk], now=utc_now()) == {}

    page.goto(report)
    page.get_by_text("Keep “nudge”: give it to everybody.").wait_for()
    page.get_by_text(re.compile("Learners in “nudge” did better: .*100.0%")).wait_for()
    assert faults == []


def create(page):
    """Fill in the form of a new experiment: a name, the members, and two arms."""
    # Typed letter by letter, as the key follows the name.
    page.locator("#id_name").press_sequentially("Quiz nudge")
    page.locator(".field-segment .select2-selection").click()
    page.locator(".select2-search__field").fill("Have not")
    page.locator(".select2-results__option", has_text="Have not tried a quiz").click()
    for place, key in enumerate(("control", "nudge")):
        page.get_by_text("Add another Arm").click()
        page.locator(f"[name=arms-{place}-position]").fill(str(place))
        page.locator(f"[name=arms-{place}-key]").fill(key)
        page.locator(f"[name=arms-{place}-weight]").fill("0.5")
    page.locator("[name=arms-0-is_control]").check()
    page.get_by_text("How learners are drawn").click()
    only_an_adaptive_draw_asks_for_its_numbers(page)
    page.get_by_label("The arms differ outside Nudgelab").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/experiments/experiment/")


def only_an_adaptive_draw_asks_for_its_numbers(page):
    """See the fields of an adaptive draw come and go with the method."""
    batch, method = page.locator("[name=share_batch]"), page.locator("[name=method]")
    batch.wait_for(state="hidden")
    method.select_option("adaptive")
    batch.wait_for(state="visible")
    method.select_option("hash")
    batch.wait_for(state="hidden")


def mark_as_checked(page, address):
    """Look at what the experiment could show, and mark it as checked."""
    page.goto(address)
    page.get_by_role("heading", name="What it could show").wait_for()
    page.get_by_role("button", name="Mark as checked").click()
    page.get_by_text("Checked on").wait_for()


def draw_and_help(experiment, course, *, at):
    """Draw 60 learners. All of the nudge and a quarter of the control attempt a quiz."""
    learners = [make_enrollment(course) for _ in range(60)]
    draw_arms(experiment.pk, [each.pk for each in learners], now=at)
    for place, each in enumerate(Assignment.objects.order_by("arm__position", "pk")):
        if each.arm.key == "nudge" or place % 4 == 0:
            act(each.enrollment, "ATTEMPT_QUIZ", occurred_at=at + WEEK / 7)
