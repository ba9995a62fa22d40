"""What somebody typed outlives the end of the session, a second login and another person."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.urls import reverse

from activity.models import Learner
from interventions.models import Nudge
from segmentation.models import Segment
from tests.browser.visits import IN_BROWSER, assert_accessible, visit
from tests.factories import make_course
from tests.segmentation.factories import make_playbook

pytestmark = IN_BROWSER
KEPT = "You were logged out before this was saved"


@pytest.fixture
def staff_with_password(staff_context):
    """Return a context in which a member of staff is logged in, who can log in again."""
    for name in ("staff", "other"):
        user, _ = get_user_model().objects.get_or_create(
            username=name, defaults={"is_staff": True, "is_superuser": True}
        )
        user.set_password("secret")
        user.save()
    return staff_context


def end_session():
    Session.objects.all().delete()


def log_in(page, name="staff"):
    page.locator("#login-form").wait_for()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill("secret")
    with page.expect_navigation():
        page.get_by_role("button", name="Log in").click()


def open_page(context, live_server, address):
    # A session that is forced upon the client ends when the password is set.
    page = context.new_page()
    page.goto(live_server.url + address)
    log_in(page)
    return page


def test_rule_is_saved_after_the_session_has_ended(live_server, staff_with_password):
    make_playbook(make_course())
    page = open_page(staff_with_password, live_server, reverse("segmentation:new-rule"))
    page.get_by_label("Name", exact=True).fill("Quiet this week")
    end_session()

    page.get_by_role("button", name="Save only").click()
    log_in(page)
    assert page.get_by_role("heading", name=KEPT).is_visible()
    assert not Segment.objects.exists()
    assert_accessible(page, "kept")
    page.get_by_role("button", name="Send what I typed").click()

    page.get_by_text("Saved.").wait_for()
    assert Segment.objects.get().name == "Quiet this week"
    page.reload()
    assert page.get_by_role("heading", name=KEPT).count() == 0


@pytest.mark.long("test_rule_is_saved_after_the_session_has_ended")
def test_columns_of_an_import_are_kept_and_can_be_dropped(live_server, staff_with_password):
    make_course(title="Biology 2025")
    page = open_page(staff_with_password, live_server, reverse("activity:import"))
    page.get_by_label("Course", exact=True).select_option(label="Biology 2025")
    page.get_by_label("Or paste the cells here").fill("who,called\na1,Ana\nb2,Bo\n")
    page.get_by_role("button", name="Next: the columns").click()
    page.get_by_label("who").select_option(label="Id of the learner")
    end_session()

    page.get_by_role("button", name="Show what would happen").click()
    log_in(page)
    page.get_by_role("button", name="Send what I typed").click()
    page.get_by_role("button", name="Import 2 rows").wait_for()
    end_session()
    page.get_by_role("button", name="Import 2 rows").click()
    log_in(page)
    page.get_by_role("button", name="Drop it").click()

    assert page.get_by_role("heading", name=KEPT).count() == 0
    page.reload()
    assert page.get_by_role("heading", name=KEPT).count() == 0
    assert not Learner.objects.exists()


@pytest.mark.long("test_rule_is_saved_after_the_session_has_ended")
def test_nudge_says_at_once_that_the_session_has_ended(live_server, staff_with_password):
    page = open_page(staff_with_password, live_server, reverse("interventions:new_nudge"))
    end_session()

    page.get_by_label("Subject").fill("Try the quiz")
    page.get_by_text("You were logged out, so nothing is saved now").wait_for()
    assert page.get_by_label("Subject").input_value() == "Try the quiz"
    page.get_by_role("button", name="Look at the summary").click()
    log_in(page)
    page.get_by_role("button", name="Send what I typed").click()
    page.get_by_text("Something is missing").wait_for()

    assert Nudge.objects.get().answers["message-0-subject"] == "Try the quiz"


def test_too_long_a_text_is_still_on_the_page_and_can_be_copied(
    live_server, staff_with_password, settings
):
    page = open_page(staff_with_password, live_server, reverse("interventions:new_nudge"))
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 3_000

    page.locator("[name=message-0-body]").fill("x" * 3_000)
    page.get_by_text("Nothing is saved until it is shorter").wait_for()
    page.get_by_role("button", name="Look at the summary").click()
    page.get_by_role("heading", name="This was too much to save at once").wait_for()

    assert page.get_by_label("The longest text of the form").input_value() == "x" * 3_000
    assert_accessible(page, "too large")


def test_another_person_does_not_see_what_was_typed(live_server, staff_with_password):
    make_playbook(make_course())
    page = open_page(staff_with_password, live_server, reverse("segmentation:new-rule"))
    page.get_by_label("Name", exact=True).fill("Secret")
    end_session()

    page.get_by_role("button", name="Save only").click()
    log_in(page, "other")

    assert page.get_by_role("heading", name="New segment").is_visible()
    assert page.get_by_role("heading", name=KEPT).count() == 0
    assert page.evaluate("sessionStorage.getItem('kept-form')") is None


@pytest.mark.long("test_rule_is_saved_after_the_session_has_ended")
def test_form_of_an_older_login_can_be_sent_again(live_server, staff_with_password):
    make_playbook(make_course())
    page = open_page(staff_with_password, live_server, reverse("segmentation:new-rule"))
    page.get_by_label("Name", exact=True).fill("Quiet this week")
    end_session()
    second = open_page(staff_with_password, live_server, reverse("home"))

    page.get_by_role("button", name="Save only").click()
    page.get_by_text("This form was not saved").wait_for()
    page.get_by_role("button", name="Send what I typed").click()
    page.get_by_text("Saved.").wait_for()

    assert Segment.objects.get().name == "Quiet this week"
    second.close()


def test_page_that_was_answered_offers_nothing(live_server, staff_with_password):
    make_playbook(make_course())
    page = open_page(staff_with_password, live_server, reverse("segmentation:new-rule"))

    page.get_by_label("Name", exact=True).fill("Quiet this week")
    page.get_by_role("button", name="Save only").click()
    page.get_by_text("Saved.").wait_for()

    assert page.evaluate("sessionStorage.getItem('kept-form')") is None
    other, faults = visit(staff_with_password, live_server.url + reverse("segmentation:new-rule"))
    assert other.get_by_role("heading", name=KEPT).count() == 0
    assert faults == []
