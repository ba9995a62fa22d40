"""Preparation of every process before Django loads: start the servers, or stop with a sentence."""

import os
import sys
import time

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError, ProgrammingError, connection

from config import embedded, env
from config.running import connection_faults
from config.running.schema import schema_fault

SECONDS_BETWEEN_TRIES = 2.0

LOCAL_SETTINGS = "config.settings.local"
PRODUCTION_SETTINGS = "config.settings.production"
OFFLINE_SETTINGS = "config.settings.offline"

# Production never starts embedded servers: a forgotten DATABASE_URL must stop the start, not create
# an empty database.
SETTINGS_WITH_EMBEDDED_SERVERS = frozenset({LOCAL_SETTINGS, "config.settings.test"})

HELP = frozenset({"help", "--help", "-h", "version", "--version"})

# The commands that read or write local days. `migrate` updates the zones itself.
DAY_COMMANDS = frozenset(
    {
        "demo",
        "evaluate_segments",
        "export_signals",
        "import_jsonl",
        "import_oulad",
        "preview_rule",
        "prove_segments",
        "rebuild_read_models",
        "serve",
        "simulate_course",
    }
)


def asks_for_help(arguments: list[str]) -> bool:
    """Return whether the command line only asks what commands there are or how one is used."""
    return not arguments[1:] or bool(HELP.intersection(arguments[1:]))


def prepare(*, default_settings: str) -> None:
    """Prepare this process for loading Django, or end it with one sentence and status 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", default_settings)
    try:
        if os.environ["DJANGO_SETTINGS_MODULE"] in SETTINGS_WITH_EMBEDDED_SERVERS:
            embedded.ensure()
        # Any attribute loads the settings.
        settings.DEBUG  # noqa: B018
    except (ImproperlyConfigured, embedded.ServerError) as error:
        print(f"Nudgelab cannot start. {error}", file=sys.stderr)
        raise SystemExit(2) from None


def wait_for_rows(seconds: int) -> None:
    """Set how long this process waits for a locked row. Call it before connecting.

    Workers and the web server call it, because one locked row must not block a whole loop or all
    threads. Commands wait without limit, because an import or a rebuild would have to start again.
    """
    databases = settings.DATABASES
    databases["default"] |= env.with_session_setting(
        databases["default"], "lock_timeout", f"{seconds}s"
    )


def refuse_other_schema(*, waits: bool) -> None:
    """End this process with one sentence and status 1 if the tables are of another version.

    While the database is down, the process waits if `waits` is True, and otherwise starts without
    the check: a web server without a database still shows this and keeps opt-outs of learners.
    """
    try:
        fault = _schema_fault(waits=waits)
    finally:
        # A worker forks next, and two processes must not share a connection.
        connection.close()
    if fault:
        print(f"Nudgelab cannot start. {fault}", file=sys.stderr)
        raise SystemExit(1)


def _schema_fault(*, waits: bool) -> str:
    is_reported = False
    while True:
        try:
            return schema_fault()
        except OperationalError as error:
            if not waits:
                return ""
            if not is_reported:
                fault = connection_faults.database_fault(error, settings.DATABASES["default"])
                print(f"Waiting for the database. {fault or ''}", file=sys.stderr, flush=True)
        is_reported = True
        connection.close()
        time.sleep(SECONDS_BETWEEN_TRIES)


def run_command(arguments: list[str]) -> None:
    """Run a command. Without its database or tables it ends with a sentence and status 2."""
    try:
        # With two releases of tzdata in use, a learner could have two different days.
        if DAY_COMMANDS.intersection(arguments[1:2]) and not asks_for_help(arguments):
            execute_from_command_line([arguments[0], "ensure_zones"])
        execute_from_command_line(arguments)
    except (OperationalError, ProgrammingError) as error:
        fault = connection_faults.database_fault(error, settings.DATABASES["default"])
        if fault is None:
            raise
        print(fault, file=sys.stderr)
        raise SystemExit(2) from None
