"""The rule builder in a real browser: a rule from nothing by mouse and by keyboard, and faults."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse

from segmentation.models import Segment
from tests.browser.visits import IN_BROWSER, NARROW, assert_accessible, sticks_out, visit
from tests.factories import NOW, act, make_course, make_enrollment, make_item, make_learner
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment, where

pytestmark = IN_BROWSER
VIDEO_ONLY = {
    "combinator": "and",
    "not": False,
    "rules": [
        {"field": "content_views", "window": 14, "operator": ">=", "value": 1},
        {"field": "quiz_attempt_rate", "window": 14, "operator": "<", "value": 0.3},
    ],
}
# With the JSON of the admin page: all of the rule had to be typed.
MOST_CLICKS = 10


@pytest.fixture
def playbook():
    """Return a playbook for a course in which one of two learners watches without quizzes."""
    course = make_course(clock_stopped_at=NOW, title="Botany")
    module = make_item(course, "module", assigned_on=NOW.date(), due_on=NOW.date())
    video = make_item(course, "video", parent=module)
    make_item(course, "quiz", parent=module, assigned_on=NOW.date(), due_on=NOW.date())
    act(make_enrollment(course, make_learner(name="Kit Berg")), "PLAY_VIDEO", item=video,
        occurred_at=NOW - timedelta(hours=1))  # fmt: skip
    make_enrollment(course)
    return make_playbook(course, name="Nudges")


PASTE = "(area, text) => { area.value = text; area.dispatchEvent(new Event('input')); }"


class Hand:
    """Works on the page with a mouse and counts its clicks."""

    def __init__(self, page):
        self.page = page
        self.clicks = 0

    def click(self, target):
        self.clicks += 1
        target.click()

    def fill(self, target, text):
        self.click(target)
        target.press("ControlOrMeta+a")
        target.press_sequentially(text)

    def choose(self, target, label):
        # One click opens the list, another chooses.
        self.clicks += 2
        target.select_option(label=label)


def tab_to(page, name, *, key="Tab"):
    """Press Tab, or another key, until the element with this title, label or text has the focus."""
    named = """name => {
        const it = document.activeElement;
        return [it.ariaLabel, it.textContent, it.labels?.[0]?.textContent].some(
            text => text?.trim() === name);
    }"""
    for _ in range(80):
        page.keyboard.press(key)
        if page.evaluate(named, name):
            return
    raise AssertionError(f"no {name} is reached by {key}")


class Keys:
    """Works on the page with the keyboard alone, and counts the places where something is done."""

    def __init__(self, page):
        self.page = page
        self.steps = 0

    def press(self, name, key="Enter"):
        self._go_to(name)
        self.page.keyboard.press(key)

    def choose(self, name, letters):
        # In a list, the first letters of an entry select it.
        self._go_to(name)
        self.page.keyboard.type(letters)

    def type(self, name, text):
        self._go_to(name)
        typed(self.page, text)

    def _go_to(self, name):
        self.steps += 1
        tab_to(self.page, name)


def typed(page, text):
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)


def assert_video_only_is_kept(page, faults):
    """Check the count, the stored rule, and that the page shows it again after a reload."""
    assert Segment.objects.get().rule == VIDEO_ONLY
    page.reload(wait_until="load")
    page.get_by_label("Signal", exact=True).nth(1).wait_for()
    shown = page.get_by_label("Signal", exact=True).locator("option:checked").all_inner_texts()
    assert shown == ["content views", "share of quizzes attempted"]
    assert page.get_by_label("Value", exact=True).nth(1).input_value() == "30"
    assert page.get_by_label("Number of days", exact=True).nth(0).input_value() == "14"
    page.get_by_role("link", name="Kit Berg").wait_for()
    assert faults == []


def test_video_only_is_built_from_nothing_by_mouse(live_server, staff_context, playbook):
    page, faults = visit(staff_context, live_server.url + reverse("segmentation:new-rule"))
    hand = Hand(page)
    hand.fill(page.get_by_label("Name", exact=True), "Video-only")
    hand.choose(page.get_by_label("Signal", exact=True), "content views")
    hand.fill(page.get_by_label("Number of days", exact=True), "14")
    hand.click(page.get_by_role("button", name="Add condition"))
    hand.choose(page.get_by_label("Signal", exact=True).nth(1), "share of quizzes attempted")
    hand.fill(page.get_by_label("Number of days", exact=True).nth(1), "14")
    hand.fill(page.get_by_label("Value", exact=True).nth(1), "30")

    page.get_by_text("1 of 2 learners.", exact=True).wait_for()
    page.get_by_text("attempted less than 30% of the quizzes").wait_for()
    page.get_by_role("button", name="Try it on the last 30 days").click()
    page.get_by_role("row", name="Botany up to Tuesday 30 September 2025 0 1").wait_for()
    assert_accessible(page, "a tried rule")
    assert not Segment.objects.exists()
    hand.click(page.get_by_role("button", name="Save and activate"))
    page.get_by_text("Saved and activated.").wait_for()

    assert_video_only_is_kept(page, faults)
    assert hand.clicks <= MOST_CLICKS


@pytest.mark.long("test_video_only_is_built_from_nothing_by_mouse")
def test_video_only_is_built_from_nothing_by_keyboard(live_server, staff_context, playbook):
    page, faults = visit(staff_context, live_server.url + reverse("segmentation:new-rule"))
    page.get_by_label("Signal", exact=True).wait_for()
    tab_to(page, "Name")
    typed(page, "Video-only")
    tab_to(page, "Signal")
    page.keyboard.type("content v")
    tab_to(page, "Number of days")
    typed(page, "14")
    tab_to(page, "Add condition", key="Shift+Tab")
    page.keyboard.press("Enter")
    # The new condition has the focus.
    page.get_by_label("Signal", exact=True).nth(1).wait_for()
    page.keyboard.type("share of quizzes")
    tab_to(page, "Number of days")
    typed(page, "14")
    tab_to(page, "Value")
    typed(page, "30")
    page.get_by_text("1 of 2 learners.", exact=True).wait_for()
    tab_to(page, "Save and activate")
    page.keyboard.press("Enter")
    page.get_by_text("Saved and activated.").wait_for()

    assert_video_only_is_kept(page, faults)


def test_faults_stand_at_their_conditions_and_go_when_they_are_mended(
    live_server, staff_context, playbook
):
    page, faults = visit(staff_context, live_server.url + reverse("segmentation:new-rule"))
    page.set_viewport_size(NARROW)
    page.get_by_role("button", name="Add group").click()
    page.get_by_label("Number of days", exact=True).nth(0).fill("0")
    page.get_by_label("Value", exact=True).nth(1).fill("many")

    for number, words in enumerate(["from 1 to 366 days, is 0", "The value must be a number."]):
        page.locator(".condition").nth(number).get_by_text(words).wait_for()
    invalid = page.locator("[aria-invalid=true]")
    assert invalid.evaluate_all("all => all.map(it => it.ariaLabel)") == ["Number of days", "Value"]
    assert_accessible(page, "with faults")
    assert sticks_out(page) <= 0
    page.get_by_label("Number of days", exact=True).nth(0).fill("7")
    page.get_by_label("Value", exact=True).nth(1).fill("1")
    page.get_by_text("1 of 2 learners.", exact=True).wait_for()
    assert invalid.count() == 0
    assert faults == []


def test_another_signal_leaves_nothing_of_the_one_before(live_server, staff_context, playbook):
    page, faults = visit(staff_context, live_server.url + reverse("segmentation:new-rule"))
    signal, rule = page.get_by_label("Signal", exact=True), page.locator("#id_rule")
    signal.select_option(label="trait")
    page.get_by_label("Name of the trait", exact=True).fill("region")
    page.get_by_label("Comparison", exact=True).select_option(label="is one of")
    page.get_by_label("Texts, one a line", exact=True).fill("Kent, Ohio\nWales")
    [condition] = json.loads(rule.input_value())["rules"]
    assert condition == {
        "field": "trait", "key": "region", "operator": "in", "value": ["Kent, Ohio", "Wales"]
    }  # fmt: skip

    signal.select_option(label="share of quiz attempts passed")
    page.get_by_label("Comparison", exact=True).select_option(label="between")
    page.get_by_label("Highest value", exact=True).fill("62,5")

    [condition] = json.loads(rule.input_value())["rules"]
    assert condition == {"field": "quiz_pass_rate", "operator": "between", "value": [0.5, 0.625]}
    assert faults == []


def test_events_are_filtered_only_by_what_is_typed(live_server, staff_context, playbook):
    page, faults = visit(staff_context, live_server.url + reverse("segmentation:new-rule"))
    signal, rule = page.get_by_label("Signal", exact=True), page.locator("#id_rule")
    signal.select_option(label="events")
    page.get_by_label("Verb of the events", exact=True).fill("PLAY_VIDE")
    page.get_by_text("did you mean 'PLAY_VIDEO'?").wait_for()
    page.get_by_label("Verb of the events", exact=True).fill("PLAY_VIDEO")
    page.get_by_text("1 of 2 learners.", exact=True).wait_for()
    counted = {
        "field": "event_count",
        "verb": "PLAY_VIDEO",
        "window": 7,
        "operator": ">=",
        "value": 1,
    }
    assert json.loads(rule.input_value())["rules"] == [counted]

    page.get_by_text("Only some of them").click()
    page.get_by_label("Kind of item", exact=True).fill("quiz")
    page.get_by_text("0 of 2 learners.", exact=True).wait_for()
    assert json.loads(rule.input_value())["rules"] == [counted | {"kind": "quiz"}]
    assert_accessible(page, "with filters")
    assert sticks_out(page) <= 0
    assert faults == []


def test_stored_rule_is_shown_and_its_text_is_edited_beside(live_server, staff_context, playbook):
    rule = {"combinator": "or", "not": True, "rules": [ACTED_TODAY, where("modules_open", "null")]}
    segment = make_segment(playbook, rule, leave_rule=ACTED_TODAY, active=False)
    address = live_server.url + reverse("segmentation:rule", args=(segment.pk,))
    page, faults = visit(staff_context, address)
    page.get_by_label("Signal", exact=True).nth(2).wait_for()

    assert json.loads(page.locator("#id_rule").input_value()) == segment.rule
    page.locator("summary").click()
    page.locator("#id_rule").fill("{")
    page.get_by_text("is not JSON").wait_for()
    deep = '{"combinator":"and","rules":[' * 500 + "]}" * 500
    for text, words in (("x" * 2_100_000, "too long to be sent"), (deep, "deeper than 50 levels")):
        page.locator("#id_rule").evaluate(PASTE, text)
        page.get_by_text(words).wait_for()
    page.locator("#id_rule").fill(json.dumps(VIDEO_ONLY))
    page.get_by_label("Signal", exact=True).nth(2).wait_for()
    page.get_by_label("the rule is no longer true").check()
    page.get_by_role("button", name="Save only").click()
    page.get_by_text("Saved.").wait_for()

    segment.refresh_from_db()
    assert (segment.rule, segment.leave_rule) == (VIDEO_ONLY, None)
    assert faults == []


def test_return_key_in_a_box_confirms_nothing(live_server, staff_context, playbook):
    segment = make_segment(playbook, ACTED_TODAY)
    address = live_server.url + reverse("segmentation:rule", args=(segment.pk,))
    page, faults = visit(staff_context, address)
    page.get_by_role("button", name="Archive…").click()
    page.get_by_role("button", name="Yes, archive it").wait_for()
    # The question has the focus, so that it is read out.
    assert page.evaluate("document.activeElement.textContent").startswith("Archive the segment?")

    with page.expect_navigation():
        page.get_by_label("Name", exact=True).press("Enter")

    segment.refresh_from_db()
    assert segment.status == "active"
    assert faults == []
