"""An error is a page of the site that says what to do."""

from typing import NoReturn

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.files.base import ContentFile
from django.http import HttpRequest
from django.test import Client, override_settings
from django.urls import include, path

from config import urls as config_urls

SENTENCE = "Ask the owner of the course."


def fail(request: HttpRequest) -> NoReturn:
    raise RuntimeError("a fault of ours")


def refuse(request: HttpRequest) -> NoReturn:
    raise PermissionDenied(SENTENCE)


handler400 = config_urls.handler400
urlpatterns = [
    path("fail/", fail),
    path("refuse/", refuse),
    path("", include("config.urls")),
]

pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False, enforce_csrf_checks=True)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.mark.django_db
def test_unknown_address_links_staff_back(staff: Client) -> None:
    answer = staff.get("/nowhere/")

    assert answer.status_code == 404
    assert "This page does not exist" in answer.text
    assert 'role="search"' in answer.text


@pytest.mark.django_db
def test_unknown_address_shows_others_no_menu(client: Client) -> None:
    answer = client.get("/nowhere/")

    assert answer.status_code == 404
    assert "Admin" not in answer.text


@pytest.mark.django_db
def test_refusal_shows_its_reason(staff: Client) -> None:
    answer = staff.get("/refuse/")

    assert (answer.status_code, SENTENCE in answer.text) == (403, True)


@pytest.mark.django_db
def test_expired_form_explains_how_to_send_it_again(staff: Client) -> None:
    answer = staff.post("/admin/logout/")

    assert answer.status_code == 403
    assert "send the form once more" in answer.text


@pytest.fixture
def typist(staff: Client) -> Client:
    staff.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
    return staff


# Every form of staff whose texts may be long, and one for learners.
FORMS = (
    "/nudges/00000000-0000-4000-8000-000000000000/",
    "/segments/new/",
    "/learners/import/",
    "/playbooks/1/import/",
    "/admin/interventions/messagetemplate/add/",
    "/admin/interventions/cadence/add/",
    "/admin/segmentation/segment/add/",
    "/admin/activity/course/add/",
    "/admin/login/",
)


@pytest.mark.django_db
@pytest.mark.parametrize("address", FORMS)
@pytest.mark.sampled(3)
def test_too_long_a_text_is_answered_with_the_limit_after_it_was_read_to_its_end(
    typist: Client, address: str
) -> None:
    answer = typist.post(address, {"text": "x" * 3_000_000})

    assert answer.status_code == 413
    assert "may have 2.5\xa0MB together, and these have more. Nothing was saved." in answer.text
    assert "Go back with the button of your browser." in answer.text
    assert 'role="search"' in answer.text
    # Otherwise the browser shows that the connection was lost, instead of the page.
    assert answer.wsgi_request.read() == b""


@pytest.mark.django_db
def test_too_many_fields_and_files_are_answered_with_their_limits(typist: Client) -> None:
    fields = typist.post("/segments/new/", {f"f{number}": "x" for number in range(1_001)})
    files = {f"f{number}": ContentFile(b"x", name="a") for number in range(101)}

    assert "A form may have 1,000 fields" in fields.text
    assert "100 files at once" in typist.post("/segments/new/", files).text


@pytest.mark.django_db
def test_page_that_saves_as_one_types_gets_the_sentence_alone(typist: Client) -> None:
    answer = typist.post(FORMS[0], {"text": "x" * 3_000_000}, headers={"HX-Request": "true"})

    assert (answer.status_code, answer["Content-Type"][:10]) == (413, "text/plain")
    assert "<" not in answer.text


def test_error_page_needs_no_database(client: Client) -> None:
    # This test has no mark `django_db`, so every query would raise.
    answer = client.get("/fail/")

    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "a fault of ours" not in answer.text


@pytest.mark.django_db
def test_request_for_another_host_is_refused_with_a_page(client: Client) -> None:
    with override_settings(ALLOWED_HOSTS=["nudgelab.example"]):
        answer = client.get("/", headers={"host": "elsewhere.example"})

    assert answer.status_code == 400
    assert "This request cannot be read" in answer.text
