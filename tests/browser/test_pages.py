"""The pages in a real browser: wide and narrow, light and dark, without errors."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from django.urls import reverse

from common.clock import utc_now
from config.views import counting
from experiments.models import Experiment
from interventions.models import Cadence, MailboxMessage, MessageTemplate
from interventions.render.links import LinkOwner, make_token
from segmentation.models import Segment
from segmentation.operations import install_playbook
from tests.browser.visits import (
    IN_BROWSER,
    NARROW,
    WIDE,
    assert_accessible,
    assert_fits,
    visit,
    visit_in_turn,
)
from tests.factories import NOW, make_course, make_enrollment, make_item
from tests.interventions.factories import make_delivery, make_evaluated, make_live_course
from tests.journeys.test_main_path import everybody_acts, make_experiment, run_stages
from tests.long import longer
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = IN_BROWSER
# Each is a test of its own, so that several processes share them.
PARTS = 2


@pytest.fixture
def enrollments(settings):
    """Return learners with draws and messages, so that every page shows something."""
    # pytest-django keeps mail in memory, but the mailbox page needs it in the mailbox.
    settings.EMAIL_BACKEND = "interventions.channels.mailbox.MailboxBackend"
    course = make_course(live_since=NOW - timedelta(days=20))
    make_item(course, "quiz")
    # The draw goes by the key and a fixed seed. By random keys all eight may be in the control arm.
    learners = [make_enrollment(course, unit_key=UUID(int=number)) for number in range(8)]
    make_experiment(make_segment(make_playbook(course), ACTED_TODAY))
    run_stages(NOW)
    everybody_acts(learners, NOW)
    run_stages(NOW + timedelta(hours=1))
    assert MailboxMessage.objects.exists()
    return learners


def staff_pages():
    """Return the addresses that staff look at: a few of each kind, and the others."""
    segment = Segment.objects.get()
    message, template = MailboxMessage.objects.first(), MessageTemplate.objects.get()
    few = [
        reverse("home"),
        reverse("activity:import"),
        reverse("course-home", args=(segment.playbook.courses.get().pk,)),
        reverse("install", args=(segment.playbook.courses.get().pk, "five-segments")),
        reverse("segment", args=(segment.pk,)),
        reverse("before-after", args=(segment.pk,)),
        reverse("admin:segmentation_segment_changelist"),
        reverse("forecast"),
        reverse("cadence-funnel", args=(Cadence.objects.get().pk,)),
        reverse("admin:interventions_cadence_add"),
        reverse("segmentation:rule", args=(segment.pk,)),
        reverse("experiments:report", args=(Experiment.objects.get().key,)),
        reverse("interventions:mailbox_message", args=(message.pk,)),
    ]
    others = [
        reverse("activity:find"),
        reverse("courses"),
        reverse("course-items", args=(segment.playbook.courses.get().pk,)),
        reverse("playbook", args=(segment.playbook_id,)),
        reverse("playbook-import", args=(segment.playbook_id,)),
        reverse("admin:index"),
        reverse("admin:segmentation_segment_change", args=(segment.pk,)),
        reverse("admin:interventions_delivery_changelist"),
        reverse("admin:interventions_sitepause_changelist"),
        reverse("admin:activity_course_change", args=(segment.playbook.courses.get().pk,)),
        reverse("admin:interventions_messagetemplate_add"),
        reverse("admin:interventions_messagetemplate_change", args=(template.pk,)),
        reverse("segmentation:new-rule"),
        reverse("experiments:report-list"),
        reverse("interventions:deliverability"),
        reverse("interventions:mailbox"),
    ]
    return few, others


@pytest.mark.parametrize(
    "part", [None, *longer("test_staff_pages_open_without_errors_and_fit", *range(PARTS))]
)
def test_staff_pages_open_without_errors_and_fit(part, live_server, staff_context, enrollments):
    admin = live_server.url + reverse("admin:index")
    few, others = staff_pages()
    chosen = few if part is None else others[part::PARTS]
    addresses = [live_server.url + each for each in chosen]
    for address, page, faults in visit_in_turn(staff_context, addresses, NARROW):
        assert_fits(page, address)
        assert faults == []
        if not address.startswith(admin):
            assert_accessible(page, address)
        assert_a_planted_script_does_not_run(page, faults)


def test_hours_of_the_forecast_are_equally_wide(live_server, staff_context):
    soon = utc_now() + timedelta(hours=1)
    enrollment = make_evaluated(make_live_course(ends_on=date(2099, 1, 1)))
    make_delivery(enrollment, send_at=soon, planned_at=soon, expires_at=soon + timedelta(days=7))
    page, _ = visit(staff_context, live_server.url + reverse("forecast"), NARROW)
    hours = page.locator(".heat thead th:not(:first-child, :last-child)")

    widths = hours.evaluate_all("hours => hours.map(hour => hour.offsetWidth)")

    assert (len(widths), max(widths) - min(widths) <= 1) == (24, True), widths
    day = page.locator(".heat tbody th").first
    assert day.evaluate("day => day.scrollWidth <= day.clientWidth")


def test_sentences_about_faults_leave_the_columns_as_they_are(
    live_server, staff_context, enrollments
):
    course = enrollments[0].course
    address = reverse("interventions:content_mapping", args=(course.pk,))
    page, faults = visit(staff_context, live_server.url + address)
    columns = page.locator(".mapping th")
    widths = columns.evaluate_all("all => all.map(column => column.offsetWidth)")

    page.get_by_label("Link").first.fill("nowhere")
    page.get_by_label("Minutes").first.fill("many")
    page.get_by_role("button", name="Save the table").click()
    page.get_by_role("alert").first.wait_for()

    assert columns.evaluate_all("all => all.map(column => column.offsetWidth)") == widths
    assert_fits(page, address)
    assert_accessible(page, address)
    assert faults == []


def test_numbers_of_a_large_course_come_in_place(
    live_server, staff_context, enrollments, monkeypatch
):
    monkeypatch.setattr(counting, "LARGE", 1)
    segment = Segment.objects.get()
    course = segment.playbook.courses.get()
    words = {
        live_server.url + reverse("course-home", args=(course.pk,)): "take the course now",
        live_server.url + reverse("segment", args=(segment.pk,)): "in this segment now",
        live_server.url
        + reverse("playbook", args=(segment.playbook_id,)): "too few to detect a small effect",
    }
    for address, page, faults in visit_in_turn(staff_context, words):
        page.get_by_text(words[address]).first.wait_for()
        assert page.get_by_text("being counted").count() == 0
        assert page.locator("main").count() == page.locator("h1").count() == 1
        assert faults == []


def test_rules_in_a_list_are_not_cut_off(live_server, staff_context):
    install_playbook("five-segments", now=NOW)
    address = live_server.url + reverse("admin:segmentation_segment_changelist")
    cut_off = "cells => cells.filter(cell => cell.scrollHeight > cell.clientHeight).length"

    for window in (NARROW, WIDE):
        page, faults = visit(staff_context, address, window)

        assert faults == []
        rules = page.locator("#result_list td.field-shown_rule")
        assert rules.count() == 5
        assert rules.evaluate_all(cut_off) == 0


def test_long_state_stays_in_its_card_on_a_narrow_screen(live_server, staff_context):
    make_delivery(make_evaluated(make_live_course()), state="in_doubt", claimed_at=NOW)
    address = live_server.url + reverse("admin:interventions_delivery_changelist")

    page, faults = visit(staff_context, address, NARROW)

    assert faults == []
    state = page.locator("#result_list td.field-shown_state span")
    assert state.inner_text().upper().startswith("IN DOUBT: MAY OR MAY NOT")
    assert state.evaluate(
        "s => s.getBoundingClientRect().right <= s.closest('td').getBoundingClientRect().right"
    )


def test_learner_pages_need_no_login_and_fit(live_server, context, enrollments):
    one = enrollments[0]
    token = make_token(LinkOwner(one.learner_id, one.pk, uuid4()))

    addresses = [
        live_server.url + reverse(f"interventions:{name}", args=(token,))
        for name in ("unsubscribe", "preferences")
    ]
    for address, page, faults in visit_in_turn(context, addresses, NARROW):
        assert_fits(page, address)
        assert_accessible(page, address)
        assert faults == []
        assert page.locator("nav[aria-label=Main]").count() == 0


def test_learner_unsubscribes_with_the_keyboard(live_server, context, enrollments):
    one = enrollments[0]
    token = make_token(LinkOwner(one.learner_id, one.pk, uuid4()))
    page = context.new_page()
    page.goto(live_server.url + reverse("interventions:unsubscribe", args=(token,)))
    assert not one.learner.consents.exists()

    page.locator("main button").first.focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert one.learner.consents.filter(category=None, state="out").exists()


def test_mail_shown_to_staff_runs_no_script(live_server, staff_context, enrollments):
    message = MailboxMessage.objects.first()
    message.html = "<p>Hello</p><script>parent.document.title = 'broken into'</script>"
    message.save()

    page = staff_context.new_page()
    page.goto(
        live_server.url + reverse("interventions:mailbox_message", args=(message.pk,)),
        wait_until="load",
    )

    assert page.frame_locator("iframe").locator("p").inner_text() == "Hello"
    assert page.title() != "broken into"


# Code that an attacker could write into a page: a script in an attribute, inline and from a file.
PLANTED = """
const box = document.createElement('div');
document.body.append(box);
box.innerHTML = `<img src="data:," onerror="window.ran = 'attribute'">`;
const script = document.createElement('script');
script.textContent = "window.ran = 'inline'";
document.body.append(script);
const far = document.createElement('script');
far.src = 'data:text/javascript,window.ran="far"';
document.body.append(far);
"""


def assert_a_planted_script_does_not_run(page, faults):
    page.evaluate(PLANTED)
    page.wait_for_function("document.querySelector('div:last-of-type img')?.complete ?? true")
    assert page.evaluate("window.ran") is None, page.url
    assert any("Content Security Policy" in fault for fault in faults), page.url


@pytest.mark.long("test_staff_pages_open_without_errors_and_fit")
def test_a_planted_script_runs_on_no_page_of_others(live_server, context, enrollments):
    one = enrollments[0]
    token = make_token(LinkOwner(one.learner_id, one.pk, uuid4()))

    pages = (reverse("interventions:preferences", args=(token,)), "/admin/login/")
    addresses = [live_server.url + each for each in pages]
    for _, page, faults in visit_in_turn(context, addresses):
        assert faults == []
        assert_a_planted_script_does_not_run(page, faults)


def test_mail_shown_to_staff_keeps_its_own_styles(live_server, staff_context, enrollments):
    message = MailboxMessage.objects.first()
    message.html = "<style>b { color: rgb(1, 2, 3) }</style><b style='margin: 7px'>Hello</b>"
    message.save()

    address = reverse("interventions:mailbox_message", args=(message.pk,))
    page, faults = visit(staff_context, live_server.url + address)

    assert faults == []
    word = page.frame_locator("iframe").locator("b")
    assert word.evaluate("it => getComputedStyle(it).color") == "rgb(1, 2, 3)"
    assert word.evaluate("it => getComputedStyle(it).marginTop") == "7px"


OVERFLOWING = """[...document.querySelectorAll('#nav-sidebar *')].filter(
    part => part.scrollHeight > part.clientHeight + 1
        && getComputedStyle(part).overflowY != 'visible'
).length"""


def test_menu_fits_a_window_768_pixels_high(live_server, staff_context):
    addresses = [
        live_server.url + reverse(f"admin:{table}_changelist")
        for table in ("interventions_cadence", "activity_learner", "segmentation_segment")
    ]
    low = {"width": 1280, "height": 768}
    for _, page, faults in visit_in_turn(staff_context, addresses, low):
        assert faults == []
        page.locator("#nav-sidebar a:visible").first.wait_for()
        page.wait_for_function(f"{OVERFLOWING} == 0")
        # What is ours stands beside what is the admin's own.
        assert page.get_by_role("link", name="Hold all messages", exact=True).is_visible()
        assert page.locator("#header-inner a[href$='/add/']").is_visible()


@pytest.mark.parametrize(
    "size",
    [WIDE, *longer("test_all_messages_are_held_from_any_page_with_the_keyboard", NARROW)],
)
def test_all_messages_are_held_from_any_page_with_the_keyboard(size, live_server, staff_context):
    page, faults = visit(staff_context, live_server.url + reverse("experiments:report-list"))
    page.set_viewport_size(size)

    page.get_by_role("link", name="Hold all messages", exact=True).press("Enter")
    page.get_by_label("Reason").fill("A wrong text goes out")
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert faults == []
    assert page.get_by_text("All sending is held").first.is_visible()
    assert page.get_by_role("link", name="Hold all messages", exact=True).count() == 0


def test_axe_finds_no_fault_on_pages_that_find_something_or_nothing(
    live_server, staff_context, enrollments
):
    page = staff_context.new_page()
    for address in (f"{reverse('activity:find')}?q=learner", "/nowhere/"):
        page.goto(live_server.url + address, wait_until="load")
        assert_accessible(page, address)
