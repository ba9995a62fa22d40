"""Folders of the embedded servers: the lock for starting them, and short socket paths."""

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

# The path of a unix socket can have 103 bytes on macOS and 107 on Linux, including the file name.
LONGEST_SOCKET_FOLDER = 80
# PostgreSQL splits the path at commas, pg_ctl passes it through a shell, and the broker's address
# has it unquoted. Other characters would need three kinds of quoting at once.
PLAIN_PATH = re.compile(r"[\w/.+-]+", re.ASCII)


@contextmanager
def only_one(var: Path) -> Iterator[None]:
    """Hold the lock of the folder, so that two processes do not both start a server."""
    var.mkdir(parents=True, exist_ok=True)
    # The lock belongs to the open file, so a killed process releases it.
    with (var / "embedded.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def socket_folder(folder: Path) -> Path:
    """Return the folder of a server's socket: next to its data, or a short path if too long.

    It depends only on the data folder, so every process finds the same server.
    """
    path = f"{folder}.socket"
    if len(path.encode()) <= LONGEST_SOCKET_FOLDER and PLAIN_PATH.fullmatch(path):
        return Path(path)
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"nudgelab-{name}"


def is_safe(folder: Path) -> bool:
    """Return whether the folder of a socket exists. Raise ServerError if others may write to it.

    Call it before trusting a server in the folder. A short path is in the shared temporary folder,
    where any user could create it first with a server of their own.
    """
    try:
        state = folder.lstat()
    except FileNotFoundError:
        return False
    _refuse_strangers(folder, state, uids=trusted_uids())
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ServerError(
            f"Other users may write to the folder {folder}, so they could run a server in it. "
            "Remove the folder and start again."
        )
    return True


def make_private(folder: Path, *, uid: int, gid: int) -> None:
    """Create the folder for one account only. Raise ServerError if it belongs to another."""
    # A broken link also counts as existing. The check below finds it.
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # In a shared temporary folder another user may have created it first, to read our data.
    _refuse_strangers(folder, folder.lstat(), uids={uid, os.geteuid()})
    if os.geteuid() == 0:
        os.chown(folder, uid, gid)
    folder.chmod(0o700)


def _refuse_strangers(folder: Path, state: os.stat_result, *, uids: set[int]) -> None:
    # Links are not followed, because their owner can change the target at any time.
    if not stat.S_ISDIR(state.st_mode):
        raise ServerError(f"{folder} is a link or a file, not a folder. Remove it and start again.")
    if state.st_uid not in uids:
        raise ServerError(f"The folder {folder} belongs to another user. Remove it, start again.")
