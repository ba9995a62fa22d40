"""`manage.py serve` before it starts its programs: what it refuses, says and passes on."""

import json
import os
import socket
import subprocess
from io import StringIO
from pathlib import Path

import psutil
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from config.embedded import postgres
from config.management.commands import serve
from config.places import VAR
from config.running import processes as processes_record
from tests import processes


def test_port_in_use_gives_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CommandError, match=rf"^Cannot listen at 127.0.0.1:{port} .*--port"):
            call_command("serve", port=port)


def test_a_second_serve_is_told_about_the_first(settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    row = {"name": "serve", "pid": os.getpid(), "created": psutil.Process().create_time()}
    record = tmp_path / processes_record.RECORD_NAME
    record.write_text(json.dumps([row | {"address": "http://127.0.0.1:8011/"}]))

    with pytest.raises(
        CommandError, match=r"from this folder, at http://127\.0\.0\.1:8011/: serve"
    ):
        call_command("serve", port=processes.free_port())

    assert record.exists()


@pytest.mark.django_db
def test_broker_that_is_down_gives_a_sentence(settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    settings.REDIS_URL = "redis://:secret-word@127.0.0.1:1/0"

    with pytest.raises(CommandError, match=r"^Redis or Valkey at 127\.0\.0\.1:1 ") as raised:
        call_command("serve", port=processes.free_port())

    assert "secret-word" not in str(raised.value)
    assert "correct REDIS_URL" in str(raised.value)


@pytest.mark.parametrize("given", ["", " "])
def test_links_of_a_local_copy_lead_to_its_own_port(
    settings, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    settings.DEMO_LOGIN = True
    monkeypatch.setenv("BASE_URL", given)

    found = [child.environment for child in serve.children("127.0.0.1", 8031)]

    assert len(found) == 4
    assert all(each == {"BASE_URL": "http://127.0.0.1:8031"} for each in found)


def test_links_lead_to_base_url(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DEMO_LOGIN = True
    monkeypatch.setenv("BASE_URL", "https://courses.example.org")

    assert all(child.environment == {} for child in serve.children("127.0.0.1", 8031))


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "http://127.0.0.1:8031"), ({"BASE_URL": "http://localhost:9"}, "http://localhost:9")],
)
def test_links_of_the_demo_lead_to_the_port_of_make(given: dict[str, str], expected: str) -> None:
    recipe = subprocess.run(
        ["make", "--dry-run", "demo", "PORT=8031"],
        cwd=processes.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (demo,) = [line for line in recipe.splitlines() if line.endswith(" manage.py demo")]
    shown = demo.replace(".venv/bin/python manage.py demo", "printenv BASE_URL")
    bare = {name: value for name, value in os.environ.items() if name != "BASE_URL"}

    said = subprocess.run(["sh", "-c", shown], env=bare | given, capture_output=True, check=True)

    assert said.stdout.decode().strip() == expected


@pytest.fixture
def own_database(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the local settings with DATABASE_URL for the database under var/."""
    settings.DEMO_LOGIN = True
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
    settings.BASE_URL = "http://127.0.0.1:8000"
    monkeypatch.setenv("DATABASE_URL", postgres.address(VAR / "postgres"))


@pytest.mark.django_db
@pytest.mark.usefixtures("own_database")
def test_demo_login_is_created_only_on_an_empty_local_copy() -> None:
    users = get_user_model().objects
    command = serve.Command(stdout=StringIO())

    assert command.demo_login("127.0.0.1") == " Log in as demo with the password demo."
    assert users.get().check_password("demo")
    assert command.demo_login("127.0.0.1") == " Log in as demo with the password demo."

    # A user with another password is not announced.
    demo = users.get()
    demo.set_password("a password of its own")
    demo.save()
    assert command.demo_login("127.0.0.1") == ""

    users.all().delete()
    users.create_user("ana")
    assert command.demo_login("127.0.0.1") == ""
    assert users.count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("own_database")
@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "courses.example.org", ""])
def test_demo_login_is_not_created_if_other_machines_can_reach_it(host: str) -> None:
    said = serve.Command(stdout=StringIO()).demo_login(host)

    assert said == " There is no user yet: run manage.py createsuperuser."
    assert not get_user_model().objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("own_database")
def test_demo_login_is_not_created_on_a_given_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ana@db.example.org/courses")
    command = serve.Command(stdout=StringIO())

    assert "createsuperuser" in command.demo_login("127.0.0.1")
    assert not get_user_model().objects.exists()

    # The demo command has created it.
    get_user_model().objects.create_superuser("demo", "demo@nudgelab.example", "demo")
    assert command.demo_login("127.0.0.1") == " Log in as demo with the password demo."


@pytest.mark.django_db
@pytest.mark.usefixtures("own_database")
def test_demo_login_is_not_created_in_production(settings) -> None:
    settings.DEMO_LOGIN = False

    assert serve.Command(stdout=StringIO()).demo_login("127.0.0.1") == ""
    assert not get_user_model().objects.exists()


@pytest.mark.parametrize("timeout", [1, 20, 120])
def test_a_stop_may_take_longer_than_a_mail_server(settings, timeout: int) -> None:
    settings.EMAIL_TIMEOUT = timeout

    assert serve.seconds_to_end() > timeout
