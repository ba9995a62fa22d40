"""The account that PostgreSQL runs as. It refuses root, so root has to lend it one."""

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from config.embedded.errors import ServerError

NAME = "pgserver"


def server_account() -> pwd.struct_passwd:
    """Return the account of the database server: one's own, or for root a system user."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return _create_account()


def trusted_uids() -> set[int]:
    """Return whom we believe to be our own server: ourselves, and for root the system user."""
    try:
        return {os.geteuid()} | ({pwd.getpwnam(NAME).pw_uid} if os.geteuid() == 0 else set())
    except KeyError:
        return {os.geteuid()}


def as_account(account: pwd.struct_passwd) -> dict[str, Any]:
    """Return the arguments with which subprocess runs a program under the account."""
    if os.geteuid() != 0:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def open_the_way(*targets: Path) -> None:
    """Let the account pass through the folders above each target, and say which were closed.

    Only passing is allowed, not listing: a checkout below /root stays as unreadable as it was.
    """
    if os.geteuid() != 0:
        return
    closed = sorted({folder for target in targets for folder in _closed_folders(target)})
    for folder in closed:
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    if closed:
        names = ", ".join(map(str, closed))
        say(f"Running as root: other users may now pass through {names}, as PostgreSQL must.")


def let_read(folder: Path) -> None:
    """Let the account read everything in the folder of programs."""
    if os.geteuid() != 0:
        return
    for path in [folder, *folder.rglob("*")]:
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def say(sentence: str) -> None:
    """Tell the person who started this what happens, apart from the results of a command."""
    print(sentence, file=sys.stderr, flush=True)


def _closed_folders(target: Path) -> list[Path]:
    folders = [target, *target.parents]
    return [folder for folder in folders if not folder.stat().st_mode & stat.S_IXOTH]


def _create_account() -> pwd.struct_passwd:
    say(f"Running as root: creating the system user {NAME}, as PostgreSQL refuses to run as root.")
    command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", NAME]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServerError(
            f"The system user {NAME} could not be created ({error}): "
            "start as another user than root, or set DATABASE_URL."
        ) from error
    return pwd.getpwnam(NAME)
