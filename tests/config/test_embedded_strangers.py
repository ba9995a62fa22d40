"""A server is trusted only in a folder that no other user could create or write to."""

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import embedded
from config.embedded import folders, postgres, valkey

STRANGER = 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")


@pytest.fixture
def data() -> Iterator[Path]:
    # Short, because the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="nudgelab-") as folder:
        yield Path(folder) / "valkey"


@pytest.fixture
def squatted(data: Path) -> Iterator[Path]:
    """Run a fake server that answers PONG in the folder of Valkey's socket. Return the folder."""
    folder = folders.socket_folder(data)
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "valkey.sock"))
        listening.listen()
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        yield folder
        listening.shutdown(socket.SHUT_RDWR)


def answer(listening: socket.socket) -> None:
    while True:
        try:
            connection = listening.accept()[0]
        except OSError:
            return
        with connection:
            connection.recv(64)
            connection.sendall(b"+PONG\r\n")


def test_answer_in_our_own_folder_is_trusted(squatted: Path, data: Path) -> None:
    assert valkey.answers(data)


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_answer_in_a_folder_that_others_may_write_to_is_refused(
    squatted: Path, data: Path, mode: int
) -> None:
    squatted.chmod(mode)

    with pytest.raises(
        embedded.ServerError, match=r"^Other users may write to the folder .*valkey"
    ):
        valkey.answers(data)


@needs_root
def test_answer_in_a_folder_of_another_user_is_refused(squatted: Path, data: Path) -> None:
    os.chown(squatted, STRANGER, STRANGER)

    with pytest.raises(embedded.ServerError, match="belongs to another user"):
        valkey.answers(data)


def test_answer_behind_a_link_is_refused(squatted: Path, data: Path) -> None:
    hidden = squatted.rename(squatted.with_name("hidden"))
    squatted.symlink_to(hidden)

    with pytest.raises(embedded.ServerError, match="is a link or a file"):
        valkey.answers(data)


def test_start_refuses_before_the_address_is_used(
    squatted: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ana@db.example.org/courses")
    monkeypatch.setenv("REDIS_URL", valkey.address(data))
    squatted.chmod(0o777)

    with pytest.raises(embedded.ServerError, match="Other users may write"):
        embedded.ensure(var=data.parent)


def test_database_is_looked_for_only_in_a_safe_folder(data: Path) -> None:
    sockets = folders.socket_folder(data)
    sockets.mkdir()
    sockets.chmod(0o777)

    with pytest.raises(embedded.ServerError, match="Other users may write"):
        postgres.answers(data)


@pytest.mark.parametrize("there", [True, False], ids=["to a folder", "to nothing"])
def test_private_folder_is_never_a_link(data: Path, *, there: bool) -> None:
    target = data.with_name("target")
    if there:
        target.mkdir(mode=0o755)
    data.symlink_to(target)

    with pytest.raises(embedded.ServerError, match="is a link or a file"):
        folders.make_private(data, uid=os.geteuid(), gid=os.getegid())

    assert target.exists() is there
    assert not there or target.stat().st_mode & 0o777 == 0o755


@needs_root
def test_private_folder_of_another_user_is_refused(data: Path) -> None:
    data.mkdir()
    os.chown(data, STRANGER, STRANGER)

    with pytest.raises(embedded.ServerError, match="belongs to another user"):
        folders.make_private(data, uid=os.geteuid(), gid=os.getegid())
