"""A database that cannot be reached gives one sentence in any command."""

import socket
import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection

from config.running import connection_faults
from tests import processes
from tests.long import longer

SSL_OR_GSS = {80877103, 80877104}


def manage(command: str, address: str, *arguments: str) -> processes.Finished:
    # REDIS_URL is set, so that no embedded server starts.
    env = {"DATABASE_URL": address, "REDIS_URL": "redis://127.0.0.1:1/0"}
    env |= {"DJANGO_SETTINGS_MODULE": "config.settings.local"}
    return processes.finish(processes.start_forked("manage.py", command, *arguments, env=env))


@pytest.fixture
def refusing_server() -> Iterator[int]:
    """Run a fake PostgreSQL that refuses every password. Return its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=refuse_all, args=(server,), daemon=True).start()
        yield int(server.getsockname()[1])
        # This ends the wait of the thread. Closing alone would not.
        server.shutdown(socket.SHUT_RDWR)


def refuse_all(server: socket.socket) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            while int.from_bytes(client.recv(4096)[4:8], "big") in SSL_OR_GSS:
                client.sendall(b"N")
            words = b'SFATAL\0C28P01\0Mpassword authentication failed for user "u"\0\0'
            client.sendall(b"E" + (len(words) + 4).to_bytes(4, "big") + words)


@pytest.mark.django_db(transaction=True)
def test_database_without_tables_gives_one_sentence() -> None:
    name = connection.settings_dict["NAME"]
    address = processes.database_url().replace(f"/{name}?", "/postgres?")

    ended = manage("check_course", address, "biology")

    assert ended.status == 2
    assert ended.errors == (
        "The database postgres lacks tables of this release. Run .venv/bin/python manage.py migrate"
        " (make serve does it too), then start again.\n"
    )


@pytest.mark.parametrize(
    "command",
    ["migrate", *longer("test_database_that_is_down_gives_one_sentence", "demo", "serve")],
)
def test_database_that_is_down_gives_one_sentence(command: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        ended = manage(command, f"postgresql://u:secret-word@127.0.0.1:{port}/nope")

    assert ended.status == 2
    said = ended.errors.splitlines()[-1]
    assert said.startswith(f"The database nope at 127.0.0.1:{port} cannot be reached (Connection")
    assert said.endswith("start that PostgreSQL server, or correct DATABASE_URL, then start again.")
    assert "Traceback" not in ended.errors
    assert "secret-word" not in ended.errors


def test_wrong_password_gives_one_sentence(refusing_server: int) -> None:
    ended = manage("migrate", f"postgresql://u:secret-word@127.0.0.1:{refusing_server}/nope")

    assert (ended.status, ended.errors.count("\n")) == (2, 1)
    assert f"at 127.0.0.1:{refusing_server} cannot be reached (password authent" in ended.errors
    assert "correct the user and the password in DATABASE_URL" in ended.errors
    assert "secret-word" not in ended.errors


@pytest.mark.django_db(transaction=True)
def test_missing_database_gives_one_sentence() -> None:
    name = connection.settings_dict["NAME"]
    address = processes.database_url().replace(name, "not_there")

    ended = manage("migrate", address)

    assert (ended.status, ended.errors.count("\n")) == (2, 1), ended.errors
    assert ended.errors.startswith("The database not_there at ")
    assert "create it (createdb not_there), or correct DATABASE_URL" in ended.errors


@pytest.mark.django_db
def test_error_of_a_running_database_keeps_its_traceback() -> None:
    with pytest.raises(OperationalError) as raised, connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)")

    assert connection_faults.database_fault(raised.value, connection.settings_dict) is None


def test_broker_that_answers_has_no_fault(valkey_url: str) -> None:
    assert connection_faults.broker_fault(valkey_url) == ""


def test_broker_behind_a_socket_is_named_by_its_path() -> None:
    said = connection_faults.broker_fault("unix://:secret-word@/nowhere/valkey.sock")

    assert said.startswith("Redis or Valkey at /nowhere/valkey.sock does not answer (")
    assert "secret-word" not in said
