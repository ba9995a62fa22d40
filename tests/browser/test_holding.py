"""All messages are held and released in a real browser, by mouse and by keyboard."""

from datetime import timedelta

import pytest

from interventions.models import MailboxMessage
from tests.browser.test_rule_builder import Hand, Keys
from tests.browser.visits import IN_BROWSER, visit
from tests.factories import NOW, make_enrollment
from tests.interventions.factories import make_cadence
from tests.interventions.nudges.pages import make_class, stop_clock
from tests.journeys.test_main_path import everybody_acts, run_stages

pytestmark = IN_BROWSER
HOUR = timedelta(hours=1)
# To hold: the link, the reason, the button. To release: the link of the banner, the button.
STEPS = 5


@pytest.fixture
def entering(monkeypatch, settings):
    """Let a learner enter a segment with a cadence, before any stage has seen it."""
    stop_clock(monkeypatch, settings)
    segment = make_class()
    make_cadence(segment=segment)
    learner = make_enrollment(segment.playbook.courses.get())
    # The first evaluation starts nothing.
    run_stages(NOW)
    everybody_acts([learner], NOW + HOUR)


def by_mouse(page):
    hand = Hand(page)
    hand.click(page.get_by_role("link", name="Hold all messages", exact=True))
    hand.fill(page.get_by_label("Reason"), "A wrong text goes out")
    hand.click(page.get_by_role("button", name="Hold all messages"))
    yield
    hand.click(page.get_by_role("link", name="View the pause or resume sending"))
    hand.click(page.get_by_role("button", name="Resume sending"))
    yield hand.clicks


def by_keyboard(page):
    keys = Keys(page)
    keys.press("Hold all messages")
    page.get_by_label("Reason").wait_for()
    keys.type("Reason", "A wrong text goes out")
    keys.press("Hold all messages")
    yield
    keys.press("View the pause or resume sending")
    page.get_by_role("button", name="Resume sending").wait_for()
    keys.press("Resume sending")
    yield keys.steps


@pytest.mark.sampled("by_keyboard")
@pytest.mark.parametrize("work", [by_mouse, by_keyboard])
def test_messages_are_held_and_released(work, live_server, staff_context, entering):
    page, faults = visit(staff_context, live_server.url)
    steps = work(page)

    next(steps)
    page.get_by_text("All sending is held").first.wait_for()
    run_stages(NOW + 2 * HOUR)
    assert not MailboxMessage.objects.exists()
    page.goto(live_server.url)
    page.get_by_text("A wrong text goes out").wait_for()

    taken = next(steps)
    page.get_by_text("Messages are being sent.").wait_for()
    run_stages(NOW + 3 * HOUR)

    assert MailboxMessage.objects.count() == 1
    assert faults == []
    assert taken == STEPS
