"""The account that PostgreSQL runs as. PostgreSQL refuses to run as root."""

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
    """Return the account of the database server: the current user, or for root a system user."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return _create_account()


def trusted_uids() -> set[int]:
    """Return the ids of trusted users: the current user, and for root also the system user."""
    try:
        return {os.geteuid()} | ({pwd.getpwnam(NAME).pw_uid} if os.geteuid() == 0 else set())
    except KeyError:
        return {os.geteuid()}


def as_account(account: pwd.struct_passwd) -> dict[str, Any]:
    """Return the arguments for subprocess to run a program as the account."""
    if os.geteuid() != 0:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def open_the_way(*targets: Path) -> None:
    """Let the account pass through the folders above each target, and print the changed ones.

    Only passing is allowed, not listing, so a checkout below /root stays unreadable.
    """
    if os.geteuid() != 0:
        return
    closed = sorted({folder for target in targets for folder in _closed_folders(target)})
    for folder in closed:
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    if closed:
        names = ", ".join(map(str, closed))
        say(f"Running as root: other users may now pass through {names}. PostgreSQL needs this.")


def let_read(folder: Path) -> None:
    """Let the account read everything in the folder of the programs."""
    if os.geteuid() != 0:
        return
    for path in [folder, *folder.rglob("*")]:
        mode = path.stat().st_mode
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def say(sentence: str) -> None:
    """Print a sentence to standard error, apart from the output of a command."""
    print(sentence, file=sys.stderr, flush=True)


def _closed_folders(target: Path) -> list[Path]:
    folders = [target, *target.parents]
    return [folder for folder in folders if not folder.stat().st_mode & stat.S_IXOTH]


def _create_account() -> pwd.struct_passwd:
    say(f"Running as root: creating the system user {NAME}. PostgreSQL refuses to run as root.")
    command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", NAME]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise ServerError(
            f"The system user {NAME} could not be created ({error}). "
            "Start as another user than root, or set DATABASE_URL."
        ) from error
    return pwd.getpwnam(NAME)
