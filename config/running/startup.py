"""What every process does before Django loads: have the servers up, or stop with a sentence."""

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

# Production never starts servers of its own: there a forgotten DATABASE_URL must stop the start,
# not open an empty database beside the real one.
SETTINGS_WITH_EMBEDDED_SERVERS = frozenset({LOCAL_SETTINGS, "config.settings.test"})

# The commands that read or write local days, beside `migrate`, which sees to the zones itself.
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


def prepare(*, default_settings: str) -> None:
    """Make Django ready to load in this process, or end it with one sentence and status 2."""
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
    """Have this process wait so long for a row that somebody holds. Call it before connecting.

    Workers and the web server do so: one held row must not hold up a whole loop, nor all threads.
    Commands wait without end: an import or a rebuild that gave up would have to begin again.
    """
    databases = settings.DATABASES
    databases["default"] |= env.with_session_setting(
        databases["default"], "lock_timeout", f"{seconds}s"
    )


def refuse_other_schema(*, waits: bool) -> None:
    """End this process with one sentence and status 1 where the tables are of another version.

    A database that is away is waited for, where `waits` says so; else nothing is known, and nothing
    refused: a web server without a database still says so, and takes the word of learners.
    """
    try:
        fault = _schema_fault(waits=waits)
    finally:
        # A worker forks now, and two processes must not speak over one connection.
        connection.close()
    if fault:
        print(f"Nudgelab cannot start. {fault}", file=sys.stderr)
        raise SystemExit(1)


def _schema_fault(*, waits: bool) -> str:
    has_said_so = False
    while True:
        try:
            return schema_fault()
        except OperationalError as error:
            if not waits:
                return ""
            if not has_said_so:
                said = connection_faults.database_fault(error, settings.DATABASES["default"])
                print(f"Waiting for the database. {said or ''}", file=sys.stderr, flush=True)
        has_said_so = True
        connection.close()
        time.sleep(SECONDS_BETWEEN_TRIES)


def run_command(arguments: list[str]) -> None:
    """Run a command; without its database or its tables it ends with a sentence and status 2."""
    try:
        # Two releases of tzdata at work would give one learner two days.
        if DAY_COMMANDS.intersection(arguments[1:2]):
            execute_from_command_line([arguments[0], "ensure_zones"])
        execute_from_command_line(arguments)
    except (OperationalError, ProgrammingError) as error:
        fault = connection_faults.database_fault(error, settings.DATABASES["default"])
        if fault is None:
            raise
        print(fault, file=sys.stderr)
        raise SystemExit(2) from None
