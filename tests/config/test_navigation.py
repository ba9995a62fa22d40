import re

import pytest
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory

from config.pages.navigation import GROUPS
from config.pages.site import Site
from tests.examples import some


@pytest.mark.slow
@pytest.mark.django_db
def test_every_entry_of_the_menu_opens_a_page(admin_client: Client) -> None:
    page = admin_client.get("/admin/").content.decode()

    for entries in GROUPS.values():
        for title in entries:
            assert title in page
    links = set(re.findall(r'<a [^>]*?href="(/[^"]*)"', page))
    assert len(links) > 20
    answers = {
        link: admin_client.get(link, follow=True).status_code
        for link in some(sorted(links), one_in=2)
    }
    assert {link for link, status in answers.items() if status != 200} == set()


@pytest.mark.django_db
def test_menu_shows_only_permitted_pages(client: Client) -> None:
    client.force_login(get_user_model().objects.create_user("cy", is_staff=True))

    page = client.get("/admin/").content.decode()

    assert "/admin/activity/learner/" not in page
    assert "/mailbox/" not in page
    assert "/mailbox/" not in client.get("/").text
    assert "/admin/auth/user/" not in page


def test_menu_lists_what_an_admin_sets_up_for_messages_and_experiments() -> None:
    listed = {target for entries in GROUPS.values() for _, target in entries.values()}

    assert {
        "interventions.category",
        "interventions.coursesite",
        "interventions.webhookendpoint",
        "experiments.exclusionlayer",
        "experiments.ledgerentry",
        "experiments.stratum",
    } <= listed


@pytest.mark.django_db
def test_only_the_entry_of_the_page_is_marked_and_only_its_group_is_open(
    admin_client: Client,
) -> None:
    page = admin_client.get("/admin/segmentation/segment/add/").text

    groups = re.findall(r"navigationOpen: (true|false)\}\"(.*?)</ol>", page, re.DOTALL)
    marked = [re.findall(r'href="([^"]*)"[^>]* active"', entries) for _, entries in groups]
    assert [state for state, _ in groups] == ["false", "true", *["false"] * 5]
    assert marked == [[], ["/admin/segmentation/segment/"], *[[]] * 5]


@pytest.mark.django_db
def test_group_without_a_permitted_page_is_left_out(client: Client) -> None:
    user = get_user_model().objects.create_user("cy", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_learner"))
    client.force_login(user)

    page = client.get("/admin/").text

    titles = re.findall(r'"navigationOpen = !navigationOpen">\s*(.*?)\s*<', page)
    assert titles == ["Every day", "Courses and learners"]


@pytest.mark.django_db
@pytest.mark.parametrize("rights", [["view_learner", "add_course", "change_segment"], [], None])
@pytest.mark.parametrize("label", [None, "activity"])
def test_all_tables_are_listed_as_django_lists_them(
    rights: list[str] | None, label: str | None
) -> None:
    user = get_user_model().objects.create_user("cy", is_staff=True, is_superuser=rights is None)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights or []))
    request = RequestFactory().get("/admin/")
    request.user = user

    listed = admin.site.get_app_list(request, label)

    # Without a site of our own, the test would compare Django with itself.
    assert isinstance(admin.site, Site)
    assert listed == AdminSite.get_app_list(admin.site, request, label)
    assert bool(listed) == (rights != [])
