"""Staff decide on failed messages and messages in doubt. Each action asks for confirmation."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from activity.models import Event
from interventions.models import Delivery
from tests.factories import NOW
from tests.interventions.factories import make_delivery

pytestmark = pytest.mark.django_db

LIST = "admin:interventions_delivery_changelist"


def log_in(client, *rights: str):
    user = get_user_model().objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


@pytest.fixture
def staff(client):
    return log_in(client, "view_delivery", "send_messages")


def answer(staff, action: str, *deliveries: Delivery, confirmed: bool = True) -> str:
    """Do the action on the deliveries and return the text of the next page."""
    form = {"action": action, "_selected_action": [each.pk for each in deliveries]}
    if confirmed:
        form["confirmed"] = "yes"
    return staff.post(reverse(LIST), form, follow=True).content.decode()


def make_failed(**fields) -> Delivery:
    return make_delivery(state="failed", reason="refused", attempts=3, finished_at=NOW, **fields)


def make_in_doubt() -> Delivery:
    return make_delivery(state="in_doubt", claimed_at=NOW, message_id="<1@test>")


def state_of(delivery: Delivery) -> tuple[str, str]:
    delivery.refresh_from_db()
    return delivery.state, delivery.reason


@pytest.mark.parametrize("action", ["retry", "resolve_as_accepted", "resolve_as_not_accepted"])
def test_an_action_asks_for_confirmation(staff, action: str) -> None:
    delivery = make_failed() if action == "retry" else make_in_doubt()
    before = state_of(delivery)

    page = answer(staff, action, delivery, confirmed=False)

    assert "1 message chosen." in page
    assert "Yes, continue" in page
    assert f'value="{delivery.pk}"' in page
    assert state_of(delivery) == before


def test_a_failed_message_is_tried_again_with_a_message_on_the_page(staff) -> None:
    failed, old = make_failed(expires_at=NOW.replace(year=2999)), make_failed()

    page = answer(staff, "retry", failed, old)

    assert "1 message is planned again and will go out within seconds." in page
    assert "1 message is not changed. The message has expired" in page
    assert (state_of(failed), failed.attempts) == (("planned", "by_staff"), 0)
    assert state_of(old) == ("failed", "refused")


@pytest.mark.parametrize(
    ("action", "state", "words"),
    [
        (
            "resolve_as_accepted",
            "handed_off",
            "1 message is recorded as handed off.",
        ),
        (
            "resolve_as_not_accepted",
            "failed",
            "1 message is recorded as failed and can be tried again.",
        ),
    ],
)
def test_a_doubt_is_resolved_with_a_message_on_the_page(staff, action, state, words) -> None:
    delivery, other = make_in_doubt(), make_delivery()

    page = answer(staff, action, delivery, other)

    assert words in page
    assert "1 message is not changed. The message is no longer in doubt." in page
    assert state_of(delivery) == (state, "by_staff")
    assert Event.objects.filter(verb="EMAIL_SENT").exists() == (state == "handed_off")
    assert state_of(other) == ("planned", "")


@pytest.mark.parametrize("action", ["retry", "resolve_as_accepted", "resolve_as_not_accepted"])
def test_deciding_on_messages_needs_the_right_to_send(client, action: str) -> None:
    staff = log_in(client, "view_delivery")
    failed, doubtful = make_failed(), make_in_doubt()

    page = answer(staff, action, failed, doubtful)

    assert action not in page
    assert state_of(failed) == ("failed", "refused")
    assert state_of(doubtful) == ("in_doubt", "")


def test_more_than_a_form_can_hold_is_refused_with_a_sentence(staff, monkeypatch) -> None:
    monkeypatch.setattr("interventions.admin.answers.AT_MOST", 1)
    failed = make_failed(), make_failed()

    page = answer(staff, "retry", *failed)

    assert "Choose at most 1 messages at a time. Nothing was changed." in page
    assert {state_of(each) for each in failed} == {("failed", "refused")}


@pytest.mark.parametrize(
    ("button", "state"),
    [("It was accepted…", "handed_off"), ("It was never accepted…", "failed")],
)
def test_the_page_of_a_message_in_doubt_says_what_to_do_and_has_both_answers(
    staff, button: str, state: str
) -> None:
    delivery = make_in_doubt()
    page = reverse("admin:interventions_delivery_change", args=(delivery.pk,))
    shown = staff.get(page)
    assert "nobody knows whether it was accepted" in shown.text
    assert "Look for &lt;1@test&gt; in the log of the mail server" in shown.text
    (pressed,) = (each for each in shown.context["buttons"] if each.text == button)
    press = f"{page.removesuffix('change/')}press/{pressed.action}/"

    asked = staff.post(press)
    assert asked.context["answer"].question in asked.text
    assert "1 message chosen." in asked.text
    assert state_of(delivery)[0] == "in_doubt"
    after = staff.post(press, {"confirmed": "yes"}, follow=True)

    assert state_of(delivery)[0] == state
    assert after.request["PATH_INFO"] == page
    offered = [each.text for each in after.context["buttons"]]
    assert offered == (["Try again…"] if state == "failed" else [])


def test_who_may_only_look_gets_no_answers(client) -> None:
    delivery = make_in_doubt()
    page = reverse("admin:interventions_delivery_change", args=(delivery.pk,))

    assert log_in(client, "view_delivery").get(page).context["buttons"] == []
