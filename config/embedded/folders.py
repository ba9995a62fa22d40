"""Folders of the embedded servers: one lock for all who start them, and short socket paths."""

import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.embedded.errors import ServerError

# A unix socket's path may have 103 bytes on macOS and 107 on Linux; the file name needs some.
LONGEST_SOCKET_FOLDER = 80
# PostgreSQL splits this setting at commas, pg_ctl sends it through a shell, and the broker's
# address carries it unquoted: any other character would need three ways of quoting at once.
PLAIN_PATH = re.compile(r"[\w/.+-]+", re.ASCII)


@contextmanager
def only_one(var: Path) -> Iterator[None]:
    """Hold the lock of the folder: two processes that start at once must not start two servers."""
    var.mkdir(parents=True, exist_ok=True)
    # The lock belongs to the open file, so a process that is killed leaves nothing behind.
    with (var / "embedded.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def socket_folder(folder: Path) -> Path:
    """Return where a server keeps its socket: beside its data, or a short path if that is too long.

    The answer depends on the folder alone, so every process finds the same server.
    """
    path = f"{folder}.socket"
    if len(path.encode()) <= LONGEST_SOCKET_FOLDER and PLAIN_PATH.fullmatch(path):
        return Path(path)
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"nudgelab-{name}"


def make_private(folder: Path, *, uid: int, gid: int) -> None:
    """Create the folder for one account alone. Raise ServerError if it belongs to another."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # In a shared temporary folder somebody else may have made it first, to read what we send.
    if folder.stat().st_uid not in {uid, os.geteuid()}:
        raise ServerError(f"The folder {folder} belongs to another user: remove it, start again.")
    if os.geteuid() == 0:
        os.chown(folder, uid, gid)
    folder.chmod(0o700)
