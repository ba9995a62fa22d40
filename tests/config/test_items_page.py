"""The page of the modules and quizzes of a course."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from activity.models import Item
from config.views.items import EXAMPLE
from tests.factories import make_course, make_item

pytestmark = pytest.mark.django_db
RIGHTS = ("view_course", "add_item", "change_item")


def staff_with(client: Client, *rights: str) -> Client:
    user = get_user_model().objects.create_user("marta", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


def address(course: Any) -> str:
    return f"/courses/{course.pk}/items/"


def test_example_of_the_page_is_shown_checked_and_saved(client: Client) -> None:
    course, staff = make_course(title="Biology"), staff_with(client, *RIGHTS)
    assert "The course has none yet." in staff.get(address(course)).text

    checked = staff.post(address(course), {"text": EXAMPLE, "step": "check"}).text
    assert "Nothing is saved yet." in checked
    assert "Save 3 rows" in checked
    assert not Item.objects.exists()

    saved = staff.post(address(course), {"text": EXAMPLE, "step": "save"}, follow=True).text
    assert "3 of 3 rows are saved. Nobody is messaged." in saved
    assert "due on 22 November 2026" in saved


def test_faults_are_shown_and_nothing_typed_is_lost(client: Client) -> None:
    course, staff = make_course(), staff_with(client, *RIGHTS)

    refused = staff.post(address(course), {"text": "Name;Days\nCells;1\n", "step": "check"}).text
    assert "Kind is missing" in refused
    assert "Name;Days\nCells;1" in refused

    file = SimpleUploadedFile("items.csv", b"Kind;Title\nquiz;Q\npoem;P\n")
    checked = staff.post(address(course), {"file": file, "step": "check"}).text
    assert "The kind “poem” is unknown" in checked
    assert "Save 1 row<" in checked
    # Once to be saved, once to be corrected.
    assert checked.count("\nKind;Title\nquiz;Q\npoem;P\n</textarea>") == 2


def test_few_of_many_faults_are_said_after_saving(client: Client) -> None:
    course, staff = make_course(), staff_with(client, *RIGHTS)
    table = "Kind;Title\nquiz;Q\n" + "poem;P\n" * 7

    saved = staff.post(address(course), {"text": table, "step": "save"}, follow=True).text

    assert "1 of 8 rows are saved." in saved
    assert "Line 7: The kind" in saved
    assert "Line 8: The kind" not in saved
    assert "2 more lines are not saved." in saved


def test_page_needs_its_rights_and_few_queries(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    course = make_course()
    module = make_item(course, "module")
    for _ in range(5):
        make_item(course, "quiz", parent=module)
    make_item(course, "page")
    staff = staff_with(client, *RIGHTS[:2])
    assert staff.get(address(course)).status_code == 403

    get_user_model().objects.get().user_permissions.add(
        Permission.objects.get(codename="change_item")
    )
    with django_assert_max_num_queries(8):
        page = staff.get(address(course)).text
    assert "In no module" in page
    assert staff.get("/courses/999999/items/").status_code == 404
