"""Holding and resuming all sending with one button, with the person and the reason."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from config.readiness import readiness_of
from interventions.models import Cadence, Delivery, Pause, SitePause
from interventions.operations import PauseNote, pause_cadence, pause_site
from tests.factories import NOW
from tests.interventions.factories import make_cadence, make_delivery, make_live_course

HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db

PAGE = "/admin/interventions/sitepause/"
WHY = {"hold": "1", "reason": "A wrong text goes out"}


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("ana"))
    return client


def log_in(client: Client, *rights: str) -> Client:
    """Log in as a member of staff with only these permissions."""
    user = get_user_model().objects.create_user("bo", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def is_held() -> bool:
    return SitePause.objects.filter(paused=True).exists()


def test_one_button_holds_all_sending_and_one_resumes_it(staff: Client) -> None:
    before = text(staff.get(PAGE))
    assert "Messages are being sent." in before
    assert before.count("<button name=") == 1

    held = staff.post(PAGE, WHY, follow=True)
    assert is_held()
    assert "(UTC) by ana: A wrong text goes out" in text(held)
    assert text(held).count("<button name=") == 1

    released = text(staff.post(PAGE, {"release": "1"}, follow=True))
    assert not is_held()
    assert "Messages are being sent." in released
    assert "by ana until" in released


def test_a_second_press_keeps_the_first_note(staff: Client) -> None:
    staff.post(PAGE, WHY)
    staff.post(PAGE, WHY | {"reason": "Another"})

    assert Pause.objects.get().reason == "A wrong text goes out"


def test_without_a_reason_the_page_asks_for_it(staff: Client) -> None:
    response = staff.post(PAGE, {"hold": "1", "reason": " "})

    assert response.status_code == 200
    assert "This field is required" in text(response)
    assert not is_held()


def test_every_staff_page_shows_that_sending_is_held(staff: Client) -> None:
    addresses = [
        reverse("admin:index"),
        reverse("admin:activity_course_changelist"),
        reverse("admin:activity_course_add"),
        reverse("experiments:report-list"),
        reverse("interventions:mailbox"),
    ]
    said = "is held</strong> since Tuesday 30 September 2025, 12:00 (UTC) by ana: wrong &amp; late."
    assert not any("All sending is held" in text(staff.get(address)) for address in addresses)

    pause_site(paused=True, now=NOW, note=PauseNote("ana", "wrong & late"))

    for address in addresses:
        assert said in text(staff.get(address)), address


def test_learner_pages_do_not_show_the_pause(client: Client) -> None:
    pause_site(paused=True, now=NOW, note=PauseNote("ana", "wrong text"))

    assert "held" not in text(client.get("/admin/login/"))
    assert "held" not in text(client.get("/unsubscribe/no-token/"))


@pytest.mark.parametrize("rights", [(), ("view_sitepause",)])
def test_staff_without_the_permission_cannot_hold_sending(
    client: Client, rights: tuple[str, ...]
) -> None:
    assert log_in(client, *rights).post(PAGE, WHY).status_code == 403
    assert not is_held()


def test_a_user_who_may_hold_but_not_send_cannot_resume(client: Client) -> None:
    log_in(client, "view_sitepause", "change_sitepause").post(PAGE, WHY)
    assert is_held()

    page = client.get(PAGE)
    assert "your account has no permission" in text(page)
    assert client.post(PAGE, {"release": "1"}).status_code == 403
    assert is_held()


def test_a_user_who_may_send_holds_and_resumes(client: Client) -> None:
    log_in(client, "send_messages").post(PAGE, WHY)
    assert is_held()
    client.post(PAGE, {"release": "1"})
    assert not is_held()


def test_old_addresses_of_the_switch_redirect_to_the_page(staff: Client) -> None:
    pause_site(paused=True, now=NOW)

    assert staff.get(f"{PAGE}1/change/").url == PAGE
    assert staff.get(f"{PAGE}add/").url == PAGE


def act(client: Client, cadence: Cadence, action: str, **more: str) -> Any:
    form = {"action": action, "_selected_action": [cadence.pk], **more}
    return client.post(reverse("admin:interventions_cadence_changelist"), form, follow=True)


def test_pausing_a_cadence_asks_for_a_reason_and_shows_it(staff: Client) -> None:
    cadence = make_cadence()
    asked = act(staff, cadence, "pause")
    assert "will be held" in text(asked)
    assert not Cadence.objects.get().paused

    act(staff, cadence, "pause", reason="Wrong week")
    assert Cadence.objects.get().paused
    page = reverse("admin:interventions_cadence_change", args=(cadence.pk,))
    assert "by ana: Wrong week" in text(staff.get(page))

    act(staff, cadence, "resume")
    pause = Pause.objects.get()
    assert (pause.began_by, pause.ended_by, pause.reason) == ("ana", "ana", "Wrong week")
    assert not Cadence.objects.get().paused


def test_resuming_a_cadence_needs_the_right_to_send(client: Client) -> None:
    cadence = make_cadence()
    pause_cadence(cadence.pk, paused=True, now=NOW)
    log_in(client, "view_cadence", "change_cadence")

    act(client, cadence, "resume")

    assert Cadence.objects.get().paused


def shown_pauses(staff: Client, delivery: Delivery) -> str:
    return text(staff.get(reverse("admin:interventions_delivery_change", args=(delivery.pk,))))


def test_a_delivery_shows_the_pauses_that_held_it(staff: Client) -> None:
    delivery = make_delivery(cadence=make_cadence(name="Welcome"))
    other = make_cadence()
    pause_cadence(other.pk, paused=True, now=NOW, note=PauseNote("bo", "not this one"))
    pause_site(paused=True, now=NOW - 2 * HOUR, note=PauseNote("bo", "long over"))
    pause_site(paused=False, now=NOW - HOUR)
    cadence_id = delivery.run.cadence_id
    pause_cadence(cadence_id, paused=True, now=NOW, note=PauseNote("ana", "Wrong week"))

    page = shown_pauses(staff, delivery)

    assert "is paused since Tuesday 30 September 2025, 12:00 (UTC) by ana: Wrong week" in page
    assert "not this one" not in page
    assert "long over" not in page

    pause_cadence(cadence_id, paused=False, now=NOW + HOUR, note=PauseNote("bo"))
    page = shown_pauses(staff, delivery)
    assert "was paused since Tuesday 30 September 2025, 12:00 (UTC) by ana until" in page
    assert "until Tuesday 30 September 2025, 13:00 (UTC) by bo" in page


def test_a_delivery_sent_before_a_pause_was_not_held_by_it(staff: Client) -> None:
    delivery = make_delivery(state="handed_off", claimed_at=NOW, finished_at=NOW)
    pause_site(paused=True, now=NOW + timedelta(hours=1), note=PauseNote("ana", "too late"))

    assert "Pauses that held it" in shown_pauses(staff, delivery)
    assert "too late" not in shown_pauses(staff, delivery).partition("Pauses that held it")[2]


def test_a_clock_that_went_back_does_not_end_a_pause_before_it_began() -> None:
    pause_site(paused=True, now=NOW)
    pause_site(paused=False, now=NOW - timedelta(seconds=8))

    assert Pause.objects.get().ended_at == NOW


def test_readiness_of_a_course_names_the_person_who_paused(staff: Client) -> None:
    course = make_live_course()
    pause_site(paused=True, now=NOW, note=PauseNote("ana", "wrong text"))

    assert any(
        "12:00 (UTC) by ana: wrong text; resume it" in each
        for each in readiness_of([course.key], now=NOW)[course.key].missing
    )
