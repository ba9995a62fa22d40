"""An error is a page of the site that says what to do."""

from typing import NoReturn

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.test import Client, override_settings
from django.urls import include, path

SENTENCE = "Ask the owner of the course."


def fail(request: HttpRequest) -> NoReturn:
    raise RuntimeError("a fault of ours")


def refuse(request: HttpRequest) -> NoReturn:
    raise PermissionDenied(SENTENCE)


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
