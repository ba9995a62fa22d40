"""The public demo login does not work if other machines can reach the site."""

import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.conf import global_settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client

from tests import processes
from tests.config.test_settings import PRODUCTION

SECONDS = processes.SECONDS_TO_FINISH
LOGIN = {"username": "demo", "password": "demo"}
PAGE = "/admin/login/"


@pytest.fixture
def demo_user(request, settings):
    if "transaction" in request.node.get_closest_marker("django_db").kwargs:
        # Another process checks the password with normal settings.
        settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    return get_user_model().objects.create_superuser(**LOGIN)


def get_in(client: Client, **request) -> bool:
    """Return whether the demo login works on the real login page."""
    client.post(PAGE, LOGIN, **request)
    return "_auth_user_id" in client.session


@pytest.mark.django_db
@pytest.mark.usefixtures("demo_user")
def test_demo_login_opens_a_local_copy(client: Client, settings) -> None:
    settings.DEMO_LOGIN = True

    assert get_in(client, headers={"host": "127.0.0.1:8000"})


@pytest.mark.django_db
@pytest.mark.usefixtures("demo_user")
@pytest.mark.parametrize(
    "request_",
    [
        {"REMOTE_ADDR": "192.168.1.7", "headers": {"host": "127.0.0.1:8000"}},
        {"headers": {"host": "courses.example.org"}},
        {"headers": {"host": "localhost", "x-forwarded-for": "198.51.100.7"}},
        {"headers": {"host": "localhost", "forwarded": "for=198.51.100.7"}},
        {"headers": {"host": "localhost", "x-forwarded-host": "courses.example.org"}},
    ],
    ids=["another machine", "another host", "proxy", "standard proxy", "proxy of a host"],
)
def test_demo_login_does_not_work_from_elsewhere(
    client: Client, settings, caplog, request_
) -> None:
    settings.DEMO_LOGIN = True

    assert not get_in(client, **request_)
    assert "its password is public" in caplog.text
    assert "manage.py changepassword demo" in caplog.text


@pytest.mark.django_db
def test_demo_login_does_not_work_in_production_with_the_public_password(
    client: Client, settings, demo_user
) -> None:
    settings.DEMO_LOGIN = False
    assert not get_in(client, headers={"host": "localhost"})

    demo_user.set_password("a password of its own")
    demo_user.save()
    given = {"username": "demo", "password": "a password of its own"}
    client.post(PAGE, given, REMOTE_ADDR="192.168.1.7")
    assert "_auth_user_id" in client.session


@pytest.mark.long("test_serve_refuses_it_behind_a_proxy_and_in_production_until_it_has_a_password")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("demo_user")
def test_serve_refuses_to_open_the_demo_login_to_other_machines() -> None:
    command = [sys.executable, "manage.py", "serve", "--host", "0.0.0.0"]
    command += ["--port", str(processes.free_port())]
    local = {"DJANGO_SETTINGS_MODULE": "config.settings.local"}

    said = processes.finish(processes.start_command(*command, env=local))

    assert said.status == 1
    assert said.errors == (
        "CommandError: The user demo has a password that is public, and other machines may reach"
        " this site: it listens at 0.0.0.0. Set another password with .venv/bin/python manage.py"
        " changepassword demo, then start again.\n"
    )


OPEN = {
    "production": ({"DEMO_LOGIN": False}, "these are production settings"),
    "hosts": ({"ALLOWED_HOSTS": ["localhost", "a.example.org"]}, "ALLOWED_HOSTS names a.example"),
    "links": ({"BASE_URL": "https://a.example.org"}, "BASE_URL is https://a.example.org"),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("given", "why"), OPEN.values(), ids=OPEN)
def test_serve_refuses_it_behind_a_proxy_and_in_production_until_it_has_a_password(
    settings, tmp_path, demo_user, given: dict[str, Any], why: str
) -> None:
    settings.VAR_DIR = tmp_path
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    usual = {"DEMO_LOGIN": True, "ALLOWED_HOSTS": ["localhost"], "BASE_URL": "http://127.0.0.1:1"}
    for name, value in (usual | given).items():
        setattr(settings, name, value)

    with pytest.raises(CommandError, match=why):
        call_command("serve", port=processes.free_port())

    demo_user.set_password("a password of its own")
    demo_user.save()
    # It gets as far as the broker, which is down here.
    with pytest.raises(CommandError, match="Redis"):
        call_command("serve", port=processes.free_port())


@pytest.mark.long("test_demo_login_does_not_work_in_production_with_the_public_password")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("demo_user")
def test_a_real_web_server_with_production_settings_refuses_the_demo_login(tmp_path) -> None:
    port = processes.free_port()
    command = [sys.executable, "-m", "gunicorn", "config.wsgi:application"]
    command += ["--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    own = {"DATABASE_URL": processes.database_url(), "SECURE_SSL_REDIRECT": "no"}
    with (tmp_path / "log").open("w+") as log:
        server = processes.start_command(*command, env=PRODUCTION | own, log=log)
        with processes.running(server):
            assert processes.wait_until(lambda: post_login(port, {}) is not None)
            answer = post_login(port, LOGIN)

    assert answer is not None
    assert "sessionid" not in answer
    assert "its password is public" in (tmp_path / "log").read_text()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def post_login(port: int, given: dict[str, str]) -> str | None:
    """Return the cookies of the server's login page, or None while nothing answers."""
    address = f"http://127.0.0.1:{port}{PAGE}"
    headers = {"Host": "courses.example.org", "X-Forwarded-Proto": "https"}
    headers |= {"Referer": "https://courses.example.org/"}
    opener = urllib.request.build_opener(
        NoRedirect, urllib.request.HTTPCookieProcessor(CookieJar())
    )
    try:
        page = opener.open(urllib.request.Request(address, headers=headers), timeout=SECONDS)
    except (urllib.error.URLError, OSError):
        return None
    cookie = SimpleCookie(page.headers["Set-Cookie"])["csrftoken"].value
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
    assert token is not None
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1]} | given).encode()
    headers |= {"Cookie": f"csrftoken={cookie}"}
    try:
        answer = opener.open(urllib.request.Request(address, form, headers), timeout=SECONDS)
    except urllib.error.HTTPError as refused:
        answer = refused
    return str(answer.headers.get_all("Set-Cookie"))
