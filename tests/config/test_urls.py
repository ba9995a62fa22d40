import pytest
from django.test import Client


def test_start_page_asks_a_stranger_to_log_in(client: Client) -> None:
    response = client.get("/")

    assert (response.status_code, response["Location"]) == (302, "/admin/login/?next=/")


@pytest.mark.django_db
def test_admin_asks_a_stranger_to_log_in(client: Client) -> None:
    response = client.get("/admin/", follow=True)

    assert response.redirect_chain == [("/admin/login/?next=/admin/", 302)]
