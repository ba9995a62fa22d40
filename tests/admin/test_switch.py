"""The course switch limits every list to one course, and shows times in its zone."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from lxml.html import fromstring

from activity.admin.zones import path_to_course
from activity.models import Course
from interventions.models import Delivery, Receipt, SentPage, SitePause
from interventions.operations import PauseNote, pause_site
from tests.admin.menu import leave_out_menu
from tests.admin.populated import populate
from tests.admin.test_access import FOREIGN, lists, pages_of, shown
from tests.factories import NOW, make_course
from tests.long import longer

pytestmark = pytest.mark.django_db
SWITCH = "/courses/switch/"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def choose(client: Client, course: Course | str, **more: str) -> Any:
    value = course if isinstance(course, str) else course.pk
    return client.post(SWITCH, {"course": value, **more})


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, *longer("test_every_list_shows_only_the_chosen_course", 1, 2)])
def test_every_list_shows_only_the_chosen_course(
    staff: Client, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    course = populate("Ant")
    populate(FOREIGN)
    choose(staff, course)
    assert FOREIGN not in shown(staff, reverse("admin:index"))
    choose(staff, "")
    # The menu is the same one on all pages.
    leave_out_menu(monkeypatch)
    some = dict(list(lists().items())[part::3])
    seen = {model for model, address in some.items() if FOREIGN in shown(staff, address)}

    choose(staff, course)

    assert len(seen) > 5
    for model, address in some.items():
        # The page of the site's pause lists the pauses of all courses. Courses share the pages
        # around messages.
        assert model in (SitePause, SentPage) or FOREIGN not in shown(staff, address), model
    choose(staff, "")
    # The choice is one value for all lists, and they have shown that they follow it.
    for model, address in list(some.items())[::5]:
        assert (FOREIGN in shown(staff, address)) == (model in seen), model


def test_page_of_a_row_of_another_course_still_opens(staff: Client) -> None:
    other = populate(FOREIGN)
    choose(staff, make_course(title="Biology"))

    page = staff.get(reverse("admin:activity_course_change", args=(other.pk,)))

    assert page.status_code == 200


def test_every_page_names_the_chosen_course_and_leads_back(staff: Client) -> None:
    choose(staff, make_course(title="Biology", time_zone="Asia/Tokyo"))

    for address in ("/", "/reports/", reverse("admin:segmentation_segment_changelist")):
        assert "Lists show only" in shown(staff, address)
        assert "Asia/Tokyo" in shown(staff, address)
    choose(staff, "")
    assert "Lists show only" not in shown(staff, "/")


def test_rows_of_a_course_show_their_times_in_its_zone(staff: Client) -> None:
    for word, zone in (("Ant", "Asia/Tokyo"), ("Bee", "America/Lima")):
        Course.objects.filter(pk=populate(word).pk).update(time_zone=zone)
    Delivery.objects.update(planned_at=NOW)
    page = reverse("admin:interventions_delivery_changelist")
    one = Delivery.objects.get(enrollment__course__time_zone="Asia/Tokyo")

    listed = shown(staff, page)

    assert "30 Sep 2025, 21:00 JST" in listed
    assert "30 Sep 2025, 07:00 -05" in listed
    assert "21:00 JST" in shown(staff, pages_of(one, "change")[0])


def test_every_list_with_one_course_per_row_shows_its_zone(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_out_menu(monkeypatch)
    course = populate("Ant")
    Course.objects.filter(pk=course.pk).update(time_zone="Asia/Tokyo")

    # A receipt has one course by its delivery, of which it is the only one.
    assert path_to_course(Receipt)
    for model, address in lists().items():
        if path_to_course(model) and model._default_manager.exists():
            assert " UTC" not in shown(staff, address), model


def test_times_of_the_whole_site_are_in_the_zone_of_the_chosen_course(staff: Client) -> None:
    pause_site(paused=True, now=NOW, note=PauseNote("ana", "wrong text"))
    address = reverse("admin:interventions_pause_changelist")
    assert "30 Sep 2025, 12:00 UTC" in shown(staff, address)

    choose(staff, make_course(time_zone="Asia/Tokyo"))

    assert "30 Sep 2025, 21:00 JST" in shown(staff, address)


def form_of(page: Any) -> dict[str, Any]:
    """Return what the browser would send back, without a change."""
    return dict(fromstring(page.text).get_element_by_id("course_form").form_values())


def test_choosing_a_course_in_another_window_moves_no_instant_of_an_open_form(
    staff: Client,
) -> None:
    course = make_course(live_since=NOW, time_zone="Asia/Tokyo")
    address = reverse("admin:activity_course_change", args=(course.pk,))
    choose(staff, course)
    page = staff.get(address)
    typed = form_of(page)
    assert (typed["live_since_1"], typed["live_since_2"]) == ("21:00:00", "Asia/Tokyo")

    choose(staff, "")
    saved = staff.post(address, typed | {"title": "Renamed"}, follow=True)
    course.refresh_from_db()
    assert (course.title, course.live_since) == ("Renamed", NOW)
    assert "Guards that apply to its messages" not in saved.text

    staff.post(address, typed | {"live_since_1": "22:00:00"})
    course.refresh_from_db()
    assert course.live_since == NOW + timedelta(hours=1)
    staff.post(address, typed | {"live_since_0": "", "live_since_1": ""})
    course.refresh_from_db()
    assert course.live_since is None


def test_zone_that_a_newer_tzdata_dropped_fails_no_page(staff: Client) -> None:
    course = make_course()
    Course.objects.filter(pk=course.pk).update(time_zone="Mars/Olympus")
    course.refresh_from_db()
    choose(staff, course)

    assert staff.get("/").status_code == 200


@pytest.mark.parametrize("value", ["999999", "no number", "9" * 30, "\x00"])
def test_unknown_course_is_not_found_and_changes_nothing(value: str, staff: Client) -> None:
    choose(staff, make_course(title="Biology"))

    assert choose(staff, value).status_code == 404
    assert "Biology" in shown(staff, "/")


def test_switch_leads_back_to_the_page_but_to_no_other_site(staff: Client) -> None:
    course = make_course()

    assert choose(staff, course, next="/reports/?a=b").url == "/reports/?a=b"
    assert choose(staff, course, next="https://example.org/").url == "/"
    assert choose(staff, course, next="//example.org/").url == "/"


def test_switch_needs_the_right_to_view_courses(client: Client) -> None:
    course = make_course()
    user = get_user_model().objects.create_user("bo", is_staff=True)
    client.force_login(user)
    assert choose(client, course).status_code == 403

    user.user_permissions.add(Permission.objects.get(codename="view_course"))
    assert choose(client, course).status_code == 302


def test_session_of_another_release_shows_all_courses(staff: Client) -> None:
    session = staff.session
    session["course"] = {"pk": 1}
    session.save()

    assert "Lists show only" not in shown(staff, "/")
