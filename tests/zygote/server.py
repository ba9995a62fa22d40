"""Forks processes from itself after it has loaded the libraries.

It loads nothing of the project and no settings: what it forks does so, with an environment of its
own. `tests.zygote.client` starts it and tells it what to fork.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from types import ModuleType

# What is loaded for a program of the project, and takes longest. A module that reads settings when
# it is loaded must not be here.
LIBRARIES = (
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.fixups.django",
    "celery.worker.consumer",
    "celery.worker.worker",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "django.contrib.postgres.fields",
    "django.core.management.commands.check",
    "django.db.backends.postgresql.base",
    "django.test",
    "inscriptis",
    "jwt",
    "kombu.transport.redis",
    "liquid",
    "lxml.html",
    "numpy",
    "prometheus_client",
    "psutil",
    "psycopg",
    "requests",
    "standardwebhooks",
    "yaml",
)
ENDED_WELL = Event()
# What the client sends for each order: one byte, with the files of the process.
FORK, CLOSED = b"f", b""


@dataclass(frozen=True)
class Order:
    """What a forked process shall be."""

    environment: dict[str, str]
    # Of Python's command line: `-c CODE`, `-m MODULE` or a file, and what follows.
    arguments: list[str]
    # With some it becomes a server itself that has loaded them.
    preload: list[str] = field(default_factory=list)


def main() -> None:
    """Serve at the socket that is standard input. Come back only in forked processes."""
    order = Order({}, [], list(LIBRARIES))
    # A process that becomes a server itself goes around again.
    while order.preload:
        load(order.preload)
        order = fork_for_orders(socket.socket(fileno=os.dup(0)))
        os.environ.clear()
        os.environ.update(order.environment)
    run(order.arguments)
    ENDED_WELL.set()


def leave() -> None:
    """End a process that has come to its end without an exception.

    The interpreter would now take hundreds of modules apart and so copy the memory that all
    processes share: four fifths of what a short process costs.
    """
    if ENDED_WELL.is_set():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def load(modules: list[str]) -> None:
    """Load the modules."""
    gc.disable()
    for name in modules:
        importlib.import_module(name)
    # A search for garbage would copy the memory that all processes share.
    gc.freeze()
    gc.enable()


def fork_for_orders(control: socket.socket) -> Order:
    """Fork a process for each order and return in it. The server ends when nobody can order."""
    # Ctrl-C reaches it too, but is for the tests. A fresh process has what was set before.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not left to the kernel, which would count their CPU time for nobody.
    signal.signal(signal.SIGCHLD, reap)
    while True:
        said, fds, _, _ = socket.recv_fds(control, len(FORK), 4)
        if said == CLOSED:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            order = keep(*fds)
            signal.signal(signal.SIGINT, interrupt)
            return order
        for fd in fds:
            os.close(fd)


def reap(*about: object) -> None:
    """Remove the keepers that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def keep(line: int, *streams: int) -> Order:
    """Fork the process and return in it. This process, its keeper, ends with it.

    Through `line` come the order, then back the number of the process, then its exit status.
    """
    with socket.socket(fileno=line) as to_client:
        with to_client.makefile() as orders:
            order = Order(**json.loads(orders.readline()))
        pid = os.fork()
        if pid:
            # Also standard input, which is the line to the server that this was forked from.
            for fd in (0, *streams):
                os.close(fd)
            tell(to_client, pid)
            _, status = os.waitpid(pid, 0)
            tell(to_client, os.waitstatus_to_exitcode(status))
            os._exit(0)
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    return order


def tell(client: socket.socket, number: int) -> None:
    """Send the number, if the client is still there."""
    with suppress(OSError):
        client.sendall(number.to_bytes(4, "big", signed=True))


def run(arguments: list[str]) -> None:
    """Do what Python does for this command line. Exceptions are left to the interpreter."""
    first, *rest = arguments
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv, sys.path[0] = arguments, str(Path(first).resolve().parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    # The first to be registered is the last to be called: after the libraries and the program.
    atexit.register(leave)
    main()
