"""Folders of the embedded servers: one lock for all who start them, and short socket paths."""

import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config.embedded.accounts import trusted_uids
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


def is_safe(folder: Path) -> bool:
    """Say whether the folder of a socket is there. Raise ServerError if others could fill it.

    Ask before believing what answers in it: a short path lies in the shared temporary folder, where
    anybody can make it first and put a server of their own behind it.
    """
    try:
        state = folder.lstat()
    except FileNotFoundError:
        return False
    _refuse_strangers(folder, state, uids=trusted_uids())
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ServerError(
            f"Other users may write to the folder {folder}, so any of them could answer in it: "
            "remove it and start again."
        )
    return True


def make_private(folder: Path, *, uid: int, gid: int) -> None:
    """Create the folder for one account alone. Raise ServerError if it belongs to another."""
    # A link that leads nowhere is said to exist: what it is comes out in the next step.
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # In a shared temporary folder somebody else may have made it first, to read what we send.
    _refuse_strangers(folder, folder.lstat(), uids={uid, os.geteuid()})
    if os.geteuid() == 0:
        os.chown(folder, uid, gid)
    folder.chmod(0o700)


def _refuse_strangers(folder: Path, state: os.stat_result, *, uids: set[int]) -> None:
    # Never followed: a link leads wherever the one who made it wants, at any later moment.
    if not stat.S_ISDIR(state.st_mode):
        raise ServerError(f"{folder} is a link or a file, not a folder: remove it and start again.")
    if state.st_uid not in uids:
        raise ServerError(f"The folder {folder} belongs to another user: remove it, start again.")
