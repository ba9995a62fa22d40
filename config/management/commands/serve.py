"""`manage.py serve`: run web server, workers and beat on one machine, and restart them."""

import os
import socket
import sys
import threading
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.http.request import validate_host

from config import embedded
from config.demo.login import (
    DEMO_NAME,
    DEMO_PASSWORD,
    NEW_PASSWORD,
    create_demo_user,
    demo_login_works,
    openness,
)
from config.running import connection_faults
from config.running.processes import RECORD_NAME, AlreadyRunningError, Child, refuse_second, run_all
from config.running.schema import schema_fault
from config.running.startup import SETTINGS_WITH_EMBEDDED_SERVERS
from config.running.watchdog import BEAT, SILENT_SECONDS, Watchdog
from config.running.workers import celery_command, worker_commands

SECONDS_TO_ANSWER = 60
SECONDS_TO_RECORD = 20.0


class Command(BaseCommand):
    help = "Run the web server, the workers and the beat, and restart those that end or hang."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
        parser.add_argument("--port", type=int, default=8000, help="port to listen at")
        parser.add_argument(
            "--silent-seconds",
            type=float,
            default=SILENT_SECONDS,
            help="restart a program whose stages have been silent for this number of seconds",
        )

    def handle(
        self, *args: Any, host: str, port: int, silent_seconds: float, **options: Any
    ) -> None:
        """Run until Ctrl-C or SIGTERM."""
        try:
            self._serve(host, port, silent_seconds)
        except AlreadyRunningError as error:
            raise CommandError(str(error)) from None

    def _serve(self, host: str, port: int, silent_seconds: float) -> None:
        address, record = f"http://{host}:{port}/", settings.VAR_DIR / RECORD_NAME
        # Checked before the port: a user who starts a second one needs to know about the first.
        refuse_second(record)
        _refuse_port_in_use(host, port)
        connection.ensure_connection()
        _refuse_open_demo_login(host)
        _refuse_silent_broker()
        self._bring_tables_up_to_date()
        login = self.demo_login(host)
        threading.Thread(
            target=self._announce, args=(host, port, address, login), daemon=True
        ).start()
        programs = children(host, port)
        watchdog = Watchdog(
            programs, silent_seconds=silent_seconds, seconds_to_end=seconds_to_end()
        )
        run_all(
            programs,
            watch=lambda: self._watch(watchdog),
            record=record,
            address=address,
            seconds_to_end=seconds_to_end(),
        )

    def _bring_tables_up_to_date(self) -> None:
        call_command("migrate", verbosity=0, stdout=self.stdout, stderr=self.stderr)
        # This version cannot work on tables of a newer version.
        fault = schema_fault()
        if fault:
            raise CommandError(fault)

    def demo_login(self, host: str) -> str:
        """Return a sentence on logging in. Create the demo user first if only this machine can."""
        users = get_user_model().objects
        if not settings.DEMO_LOGIN:
            return ""
        # The password is public. So the user is not created in a database that is not our own, or
        # if other machines can reach the site.
        if not openness(host) and embedded.owns_database() and not users.exists():
            create_demo_user()
            self.stdout.write(f"Created the user {DEMO_NAME} for this local copy.")
        if demo_login_works():
            return f" Log in as {DEMO_NAME} with the password {DEMO_PASSWORD}."
        return "" if users.exists() else " There is no user yet: run manage.py createsuperuser."

    def _announce(self, host: str, port: int, address: str, login: str) -> None:
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while time.monotonic() < deadline:
            if _answers(host, port):
                self.stdout.write(f"\nNudgelab runs at {address}{login} Ctrl-C stops it.\n")
                self.stdout.flush()
                return
            time.sleep(0.2)

    def _watch(self, watchdog: Watchdog) -> None:
        self._watch_servers()
        watchdog.look()

    def _watch_servers(self) -> None:
        if os.environ["DJANGO_SETTINGS_MODULE"] not in SETTINGS_WITH_EMBEDDED_SERVERS:
            return
        try:
            embedded.ensure()
        except embedded.ServerError as error:
            # Tried again in a second. Until then the pages show that the database is down.
            self.stderr.write(str(error))


def seconds_to_end() -> float:
    """Return how long an orderly stop may take: a worker finishes its current message.

    A mail server may be waited for twice, once for a connection and once for an answer, and what
    it said has to be recorded.
    """
    return 2 * settings.EMAIL_TIMEOUT + SECONDS_TO_RECORD


def children(host: str, port: int) -> list[Child]:
    """Return the programs of a machine. Links in their mails lead to this web server."""
    links = _links(host, port)
    web = [sys.executable, "-m", "gunicorn", "config.wsgi:application"]
    # Threads instead of more processes, because pages mostly wait for the database.
    web += ["--bind", f"{host}:{port}", "--workers", "2", "--threads", "4"]
    web += ["--log-level", "warning", "--no-control-socket"]
    return [
        Child("web server", web, links),
        *(Child(name, command, links) for name, command in worker_commands().items()),
        Child(BEAT, celery_command("beat", "--loglevel", "WARNING", "--pidfile="), links),
    ]


def _links(host: str, port: int) -> dict[str, str]:
    # An empty variable counts as missing, as everywhere in the settings.
    given = os.environ.get("BASE_URL", "").strip()
    return {} if given or not settings.DEMO_LOGIN else {"BASE_URL": _link_address(host, port)}


def _link_address(host: str, port: int) -> str:
    # Links in messages lead to this server. A server that listens at all addresses (0.0.0.0) is
    # reached at the local address.
    name = host if validate_host(host, settings.ALLOWED_HOSTS) else "127.0.0.1"
    return f"http://{name}:{port}"


def _refuse_port_in_use(host: str, port: int) -> None:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        raise CommandError(
            f"Cannot listen at {host}:{port} ({error}). Stop the program that uses this port, "
            "or choose another port with --port (make serve PORT=8001)."
        ) from error


def _refuse_open_demo_login(host: str) -> None:
    reasons = openness(host)
    if reasons and demo_login_works():
        raise CommandError(
            f"The user {DEMO_NAME} has a password that is public, and other machines may reach "
            f"this site: {'; '.join(reasons)}. Set another password with {NEW_PASSWORD}, "
            "then start again."
        )


def _refuse_silent_broker() -> None:
    fault = connection_faults.broker_fault(settings.REDIS_URL)
    if fault:
        raise CommandError(fault)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
