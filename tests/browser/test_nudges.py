"""A nudge in a real browser: from the start page to the first mail, by mouse and by keyboard."""

from datetime import timedelta

import pytest
from django.urls import reverse

from experiments.models import Assignment, Experiment
from interventions.models import Cadence, MailboxMessage, Nudge
from tests.browser.test_rule_builder import Hand, Keys
from tests.browser.visits import IN_BROWSER, assert_accessible, assert_fits, visit
from tests.factories import NOW, make_enrollment
from tests.interventions.nudges.pages import make_class, stop_clock
from tests.journeys.test_main_path import everybody_acts, run_stages

pytestmark = IN_BROWSER
SEGMENT = "Video-only (Biology 2025)"
# Before this page, a template with its cadence took 16 clicks, and an experiment 13 more.
MOST_CLICKS = 8
MOST_CLICKS_MORE = 6
MOST_STEPS = 9
HOUR = timedelta(hours=1)


@pytest.fixture
def course(monkeypatch, settings):
    """Return a course with a segment of three learners, shown as of NOW."""
    stop_clock(monkeypatch, settings)
    return make_class().playbook.courses.get()


def enter(course, number):
    """Let new learners enter the segment, and run the stages until their mails are out."""
    learners = [make_enrollment(course) for _ in range(number)]
    # Their first evaluation starts nothing.
    run_stages(NOW)
    everybody_acts(learners, NOW + HOUR)
    run_stages(NOW + 2 * HOUR)


def write(hand, page):
    """Answer whom and what with the mouse."""
    hand.click(page.get_by_role("link", name="New nudge"))
    hand.choose(page.get_by_label("Segment"), SEGMENT)
    page.get_by_text("3 learners are in it now").wait_for()
    hand.fill(page.get_by_label("Subject"), "Try the quiz")
    hand.fill(page.get_by_label("Text", exact=True), "Hello ")
    hand.click(page.get_by_role("button", name="name of the learner"))
    page.keyboard.type(", **try the quiz**.")
    page.frame_locator("iframe").get_by_text("try the quiz", exact=True).wait_for()


@pytest.mark.long("test_nudge_is_made_with_the_keyboard_alone_up_to_the_mail")
def test_cadence_from_nothing_to_the_first_mail(live_server, staff_context, course):
    page, faults = visit(staff_context, live_server.url)
    hand = Hand(page)

    write(hand, page)
    hand.click(page.get_by_role("button", name="Look at the summary"))
    page.get_by_text("3 learners would get it, the first on Tuesday 30 September").wait_for()
    hand.click(page.get_by_role("button", name="Start it"))
    page.get_by_text("It is started.").wait_for()
    enter(course, 1)

    page.goto(live_server.url + reverse("interventions:mailbox"))
    page.get_by_role("link", name="Try the quiz").click()
    mail = page.frame_locator("iframe")
    assert mail.get_by_text("Hello Learner").is_visible()
    assert mail.locator("strong").inner_text() == "try the quiz"
    assert MailboxMessage.objects.count() == 1
    assert faults == []
    assert hand.clicks <= MOST_CLICKS


@pytest.mark.long("test_nudge_is_made_with_the_keyboard_alone_up_to_the_mail")
def test_half_is_held_back_with_few_more_clicks(live_server, staff_context, course):
    page, faults = visit(staff_context, live_server.url)
    hand = Hand(page)

    write(hand, page)
    hand.click(page.get_by_label("Hold back half"))
    hand.click(page.get_by_role("button", name="Look at the summary"))
    hand.click(page.get_by_role("button", name="Start it"))
    page.get_by_role("link", name="the report").wait_for()
    enter(course, 24)

    experiment = Experiment.objects.get()
    drawn = Assignment.objects.filter(experiment=experiment)
    mailed = drawn.filter(arm=experiment.arms.get(is_control=False)).count()
    assert 0 < mailed < drawn.count() == 24
    assert MailboxMessage.objects.count() == mailed
    assert faults == []
    assert hand.clicks <= MOST_CLICKS + MOST_CLICKS_MORE


def test_nudge_is_made_with_the_keyboard_alone_up_to_the_mail(live_server, staff_context, course):
    page, faults = visit(staff_context, live_server.url)
    keys = Keys(page)
    keys.press("New nudge")
    page.wait_for_url("**/nudges/new/")

    keys.choose("Segment", "Video")
    page.get_by_text("3 learners are in it now").wait_for()
    keys.type("Subject", "Try the quiz")
    keys.type("Text", "Hello ")
    keys.press("name of the learner")
    page.keyboard.type("!")
    keys.type("Message 1, after entering", "90 min later")
    keys.press("Hold back half to learn whether it helps", "Space")
    page.get_by_text("It is not known how many learners will enter").wait_for()
    keys.press("Look at the summary")
    page.get_by_text("An experiment starts.").wait_for()
    keys.press("Start it")
    page.get_by_text("It is started.").wait_for()
    steps = keys.steps

    (step,) = Cadence.objects.get().steps.all()
    assert step.delay == timedelta(minutes=90)
    text = step.template.texts.get()
    assert text.body == "<p>Hello {{ learner.first_name | default: 'there' }}!</p>\n"
    enter(course, 24)
    assert not MailboxMessage.objects.exists()
    run_stages(NOW + 4 * HOUR)

    keys.press("Mailbox")
    page.wait_for_url("**/mailbox/")
    keys.press("Try the quiz")
    page.frame_locator("iframe").get_by_text("Hello Learner").wait_for()
    assert 0 < MailboxMessage.objects.count() < 24
    assert faults == []
    # The places where something is typed or pressed, up to the start.
    assert steps <= MOST_STEPS


def test_nudge_left_half_way_is_found_again_and_two_windows_lose_nothing(
    live_server, staff_context, course
):
    page, faults = visit(staff_context, live_server.url + reverse("interventions:new_nudge"))
    page.get_by_label("Subject").fill("From the first window")
    page.get_by_text("Saved on").wait_for()
    page.reload()
    assert page.get_by_label("Subject").input_value() == "From the first window"

    other, _ = visit(staff_context, page.url)
    page.get_by_label("Subject").fill("Changed in the first window")
    page.locator("#version[value='2']").wait_for(state="attached")
    other.get_by_label("Subject").fill("Changed in the second window")
    other.get_by_text("was changed in another window").wait_for()

    assert other.url != page.url
    assert other.get_by_label("Subject").input_value() == "Changed in the second window"
    kept = sorted(nudge.answers["message-0-subject"] for nudge in Nudge.objects.all())
    assert kept == ["Changed in the first window", "Changed in the second window"]
    assert faults == []


def test_axe_finds_no_fault_and_every_page_fits(live_server, staff_context, course):
    page, faults = visit(staff_context, live_server.url + reverse("interventions:new_nudge"))
    look(page, "empty")
    page.get_by_role("button", name="Look at the summary").click()
    page.get_by_text("Something is missing").wait_for()
    look(page, "with faults")
    page.get_by_label("Segment").select_option(label=SEGMENT)
    page.get_by_label("Subject").fill("Try the quiz")
    page.get_by_label("Text", exact=True).fill("Hello!")
    page.get_by_label("Only after").fill("9am")
    page.get_by_label("and before").fill("9 pm")
    page.get_by_role("button", name="Add another message").click()
    page.get_by_text("Message 2", exact=True).wait_for()
    look(page, "with two messages")
    page.get_by_role("button", name="Remove message 2").click()
    page.get_by_text("Message 2", exact=True).wait_for(state="detached")
    page.get_by_role("button", name="Look at the summary").click()
    page.get_by_role("button", name="Start it").wait_for()
    look(page, "summary")
    page.get_by_role("button", name="Start it").click()
    page.get_by_text("It is started.").wait_for()
    look(page, "made")
    assert faults == []


def look(page, what):
    """Find faults by axe, and what is wider than its window."""
    assert_fits(page, what)
    assert_accessible(page, what)
