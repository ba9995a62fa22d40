"""The page of a learner in a browser: found by name, the reason read, and what is done there."""

from datetime import timedelta

import pytest
from django.urls import reverse

from common.clock import utc_now
from interventions.models import LearnerPause
from interventions.operations import save_cap
from segmentation.models import Override
from segmentation.stages.evaluate import evaluate_due
from tests.browser.visits import (
    IN_BROWSER,
    NARROW,
    assert_accessible,
    assert_fits,
    visit,
    visit_in_turn,
)
from tests.factories import act, make_item, make_learner
from tests.interventions.factories import (
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_live_course,
)
from tests.segmentation.factories import QUIET, make_playbook, make_segment

pytestmark = IN_BROWSER
# Of five lists before, none said why. After typing the name, only the return key is pressed.
MOST_CLICKS_TO_THE_REASON = 2


@pytest.fixture
def ana():
    """Return a learner with acts of two weeks whose message waits for a cap."""
    now = utc_now()
    course = make_live_course(
        title="Botany",
        starts_on=(now - timedelta(days=40)).date(),
        ends_on=(now + timedelta(days=40)).date(),
        live_since=now - timedelta(days=39),
    )
    ana = make_evaluated(course, make_learner(name="Ana Lee"))
    make_evaluated(course, make_learner(name="Ana Diaz"))
    segment = make_segment(make_playbook(course), QUIET, name="Quiet", now=now)
    save_cap("1 a day", limit=1, window="rolling_hours", length=24, on_exceed="defer")
    make_counted(ana, now - timedelta(hours=1))
    for days in (8, 9, 20, 30):
        act(ana, "PLAY_VIDEO", item=make_item(course, "video"), occurred_at=now - timedelta(days))
    evaluate_due(now=now)
    make_delivery(
        ana,
        make_cadence(segment=segment),
        planned_at=now,
        send_at=now,
        expires_at=now + timedelta(days=7),
    )
    make_cadence(trigger="manual", name="Extra help")
    return ana


def test_learner_is_found_by_name_and_the_reason_is_read(live_server, staff_context, ana):
    page, faults = visit(staff_context, live_server.url + reverse("home"))
    clicks = 0

    page.get_by_role("search").get_by_role("searchbox").fill("ana")
    page.keyboard.press("Enter")
    clicks += 1
    page.get_by_role("link", name="Ana Lee").click()
    clicks += 1

    answer = page.locator(".answer").inner_text()
    assert "the cap “1 a day”" in answer
    assert "was used up by" in answer
    assert page.locator(".answer").is_visible()
    assert clicks <= MOST_CLICKS_TO_THE_REASON
    assert faults == []


def test_what_comes_and_what_was_appear_in_place(live_server, staff_context, ana):
    address = live_server.url + reverse("learner", args=(ana.learner_id,))
    page, faults = visit(staff_context, address)

    page.get_by_text("Passing time alone changes no segment").wait_for()
    days = page.locator("h4").count()
    page.get_by_role("link", name="Older days in Botany").press("Enter")
    page.locator("h4").nth(days).wait_for()
    assert page.url == address
    assert faults == []


def test_messages_are_held_and_resumed_with_the_keyboard(live_server, staff_context, ana):
    page, faults = visit(
        staff_context, live_server.url + reverse("learner", args=(ana.learner_id,))
    )

    page.locator("summary", has_text="Hold all messages to Ana").press("Enter")
    page.get_by_label("Reason").fill("She is ill")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert LearnerPause.objects.get().reason == "She is ill"
    with page.expect_navigation():
        page.get_by_role("button", name="Let messages to Ana go out again").press("Enter")

    assert LearnerPause.objects.get().ended_at is not None
    assert page.get_by_text("go out again, within seconds").is_visible()
    assert faults == []


def test_a_learner_is_removed_from_a_segment_and_that_is_taken_back(
    live_server, staff_context, ana
):
    page, faults = visit(
        staff_context, live_server.url + reverse("learner", args=(ana.learner_id,))
    )

    page.get_by_text("Remove from Quiet by hand").click()
    with page.expect_navigation():
        page.get_by_role("button", name="Remove Ana from Quiet").click()
    assert Override.objects.get().kind == "removed"
    with page.expect_navigation():
        page.get_by_role("button", name="Let the rule of Quiet decide again").click()

    assert not Override.objects.exists()
    assert faults == []


def test_pages_of_a_learner_fit_and_have_no_fault(live_server, staff_context, ana):
    learner = reverse("learner", args=(ana.learner_id,))
    others = [reverse(f"learner-{name}", args=(ana.pk,)) for name in ("older", "next", "send")]
    addresses = [live_server.url + each for each in (learner, *others)]
    for address, page, faults in visit_in_turn(staff_context, addresses, NARROW):
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert_fits(page, address)
        assert_accessible(page, address)
        assert faults == []
