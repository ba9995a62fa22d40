"""`manage.py serve` as a real process: it answers, mends itself, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from io import StringIO
from pathlib import Path

import psutil
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from config.management.commands import serve
from tests import processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def status(port: int) -> int | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=5) as page:
            return int(page.status)
    except (urllib.error.URLError, OSError):
        return None


def wait_for_answer(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while status(port) != 200:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)


def web_server(parent: int) -> psutil.Process:
    children = psutil.Process(parent).children()
    return next(child for child in children if "gunicorn" in " ".join(child.cmdline()))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_serve_answers_starts_again_what_dies_and_ends_all(valkey_url: str, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "manage.py", "serve", "--port", str(port)]
    with (tmp_path / "log").open("w+") as log:
        serving = processes.start_command(*command, env={"REDIS_URL": valkey_url}, log=log)
        with processes.running(serving):
            wait_for_answer(port, serving)
            first = web_server(serving.pid)
            os.killpg(first.pid, signal.SIGKILL)
            first.wait(10)
            wait_for_answer(port, serving)
            left = psutil.Process(serving.pid).children(recursive=True)

            serving.send_signal(signal.SIGTERM)
            serving.wait(60)

    said = (tmp_path / "log").read_text()
    assert serving.returncode == 0, said
    assert f"Nudgelab runs at http://127.0.0.1:{port}/" in said
    assert "The web server ended with status -9; starting it again in 1 s." in said
    assert [process for process in left if process.is_running()] == []


def test_port_in_use_is_said_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CommandError, match=rf"^Cannot listen at 127.0.0.1:{port} .*--port"):
            call_command("serve", port=port)


@pytest.mark.django_db
def test_demo_login_is_made_on_an_empty_local_copy_alone(settings) -> None:
    users = get_user_model().objects
    command = serve.Command(stdout=StringIO())

    assert command.demo_login() == ""
    assert not users.exists()

    settings.DEMO_LOGIN = True
    assert command.demo_login() == " Log in as demo with the password demo."
    assert users.get().check_password("demo")
    assert command.demo_login() == " Log in as demo with the password demo."

    users.all().delete()
    users.create_user("ana")
    assert command.demo_login() == ""
    assert users.count() == 1
