"""Fixtures that every folder of tests may use."""

import os
import re
import subprocess
import tempfile
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import compress
from pathlib import Path
from typing import Protocol

import pytest
from django.db import connection, transaction
from django.test import TransactionTestCase
from hypothesis import settings as hypothesis_settings
from hypothesis.internal.conjecture import providers
from pytest_django import DjangoDbBlocker

from config.embedded import valkey
from config.running import workers
from tests import http_sink as http_sinks
from tests import processes, smtp, template_database

ROOT = Path(__file__).resolve().parents[1]

# No test asserts a time: on a busy machine an example may take any. The same examples each time: a
# run fails by what was changed alone. `pytest --hypothesis-profile search` looks for new ones.
hypothesis_settings.register_profile("nudgelab", deadline=None, derandomize=True)
# Used by `make test` and `make test-fast`: fewer, and the same ones each time.
hypothesis_settings.register_profile("quick", deadline=None, derandomize=True, max_examples=40)
hypothesis_settings.register_profile("search", deadline=None)
hypothesis_settings.load_profile("nudgelab")


def pytest_configure(config: pytest.Config) -> None:
    """Keep hypothesis from parsing all loaded files for numbers that occur in them.

    That takes each worker some eight seconds. CI, with all examples, does it.
    """
    if config.getoption("--hypothesis-profile") == "quick":
        providers.is_local_module_file = lambda path: False


# What is slow by its nature: the database, servers, browsers, real course data, and what starts
# processes. Whatever serves a page or runs Celery here asks for the database too.
SLOW_FIXTURES = frozenset({"db", "shared_data", "transactional_db", "valkey_url"})
# Folders of tests that go through whole pages and whole paths.
SLOW_FOLDERS = frozenset({"admin", "browser", "crash", "journeys", "nudges", "zygote"})
# The line of a file whose tests are all slow.
ALL_SLOW = re.compile(r"^pytestmark = .*\b(django_db|slow)\b", re.MULTILINE)
STARTERS = frozenset(
    {"processes", "run_python", "start_command", "start_forked", "start_python", "subprocess"}
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Load no file of slow tests only when they are left out: that takes as long as the rest."""
    if config.getoption("markexpr") != "not slow":
        return None
    if collection_path.is_dir():
        return collection_path.name in SLOW_FOLDERS or None
    return ALL_SLOW.search(collection_path.read_text()) is not None or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as long what is left out of a sample, and as slow what asks for something slow."""
    mark_unsampled(items)
    for item in items:
        assert isinstance(item, pytest.Function)
        marked = any(map(item.get_closest_marker, ("django_db", "long")))
        asks = SLOW_FIXTURES.intersection(item.fixturenames)
        is_there = item.path.parent.name in SLOW_FOLDERS
        if marked or asks or is_there or STARTERS.intersection(vars(item.module)):
            item.add_marker(pytest.mark.slow)


def mark_unsampled(items: list[pytest.Item]) -> None:
    """Mark as long the parameters of sampled tests that `make test` does not take.

    Those that it takes are the quicker ones for the others.
    """
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled") and not item.get_closest_marker("long"):
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for test, table in tables.items():
        sample = table[0].get_closest_marker("sampled")
        assert sample is not None
        names = [item.nodeid.partition("[")[2].removesuffix("]") for item in table]
        taken = sample.args if isinstance(sample.args[0], str) else names[:: sample.args[0]]
        # A single parameter may have been asked for on the command line.
        if len(table) > len(taken) and (unknown := set(taken) - set(names)):
            raise pytest.UsageError(f"{test} has no parameters {unknown}")
        for item, name in zip(table, names, strict=True):
            if name not in taken:
                item.add_marker("long")


PARTS = ("workers", "beat")
QUICK_BEAT = "tests.quick_beat"


class StartCelery(Protocol):
    """Starts the workers of one machine and a beat on the test database for the time of a block."""

    def __call__(
        self,
        *,
        env: dict[str, str] | None = None,
        app: str = QUICK_BEAT,
        worker_env: dict[str, str] | None = None,
        beat_env: dict[str, str] | None = None,
        parts: Container[str] = PARTS,
    ) -> AbstractContextManager[list[subprocess.Popen[str]]]: ...


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real course data; skip the test where it is missing."""
    folder = Path(os.environ.get("NUDGELAB_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        reason = f"no real data: {folder} is missing (NUDGELAB_SHARED_DATA names another folder)"
        # Where the data is known to be there, a skipped test would look like a passed one.
        if os.environ.get("NUDGELAB_REQUIRE_SHARED_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None, django_db_blocker: DjangoDbBlocker
) -> ExitStack:
    """Have the test database made as a copy; what is returned is to be closed after that."""
    making = ExitStack()
    with django_db_blocker.unblock():
        making.enter_context(template_database.copied())
    return making


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_modify_db_settings: ExitStack,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """Make the test database, and end who is still connected before it is dropped."""
    with django_db_blocker.unblock():
        django_db_modify_db_settings.close()
        _remove_guards()
    yield
    # A process or thread that a test ended may take a moment to leave, and a database with a
    # session cannot be dropped.
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _remove_guards() -> None:
    # pytest-django makes the test database only if a test of the run has its mark. Otherwise the
    # connection still leads to the developer's own database.
    name = connection.settings_dict["NAME"]
    assert name.startswith("test_"), f"{name} is no test database: mark the test with django_db"
    # Tests set the limits that they are about. With those of a new site, what a test sends
    # would depend on the hour of its clock, and tests that run after a flush would have none.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM interventions_quiethours")
        cursor.execute("DELETE FROM interventions_frequencycap")
        cursor.execute("DELETE FROM interventions_category")


# Made by migrations from the models alone, and read by all: no test writes to them.
KEPT_TABLES = frozenset({"auth_permission", "django_content_type"})


def empty_tables(_: TransactionTestCase | None = None) -> None:
    """Empty the tables that hold rows, after a test that committed what it wrote.

    Django's own way truncates all of them, though a test fills a few, and makes all permissions
    again: more time than most of these tests take.
    """
    tables = set(connection.introspection.django_table_names(only_existing=True)) - KEPT_TABLES
    names = sorted(map(connection.ops.quote_name, tables))
    looks = ", ".join(f"EXISTS (SELECT FROM {name})" for name in names)
    # Keys are checked at the commit: within the transaction the order is of no matter.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {looks}")
        for name in compress(names, cursor.fetchone()):
            cursor.execute(f"DELETE FROM {name}")


TransactionTestCase._fixture_teardown = empty_tables


@pytest.fixture
def smtp_sink() -> Iterator[smtp.SmtpSink]:
    """Run a mail server that keeps what it gets."""
    with smtp.serve(smtp.SmtpSink()) as sink:
        yield sink


@pytest.fixture
def http_sink() -> Iterator[http_sinks.HttpSink]:
    """Run a web server that keeps what is posted to it."""
    with http_sinks.serve(http_sinks.HttpSink()) as sink:
        yield sink


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """Run a Valkey of the tests' own and return its REDIS_URL."""
    with tempfile.TemporaryDirectory(prefix="nudgelab-valkey-") as folder:
        data = Path(folder) / "valkey"
        valkey.ensure_running(data)
        yield valkey.address(data)
        valkey.stop(data)


@pytest.fixture
def celery_processes(valkey_url: str, tmp_path: Path) -> StartCelery:
    """Return what starts real workers and a beat; the test must be one with transaction=True.

    `worker_env` and `beat_env` are for them alone. A beat that is started again in the same test
    finds what the one before it kept.
    """

    @contextmanager
    def start(
        *,
        env: dict[str, str] | None = None,
        app: str = QUICK_BEAT,
        worker_env: dict[str, str] | None = None,
        beat_env: dict[str, str] | None = None,
        parts: Container[str] = PARTS,
    ) -> Iterator[list[subprocess.Popen[str]]]:
        given = {"REDIS_URL": valkey_url} | (env or {})
        schedule = ["--pidfile=", "--schedule", str(tmp_path / "schedule")]
        beat = workers.celery_command("beat", *schedule, app=app)
        commands = []
        if "workers" in parts:
            commands += [(one, worker_env) for one in workers.worker_commands(app=app).values()]
        if "beat" in parts:
            commands.append((beat, beat_env))
        with (tmp_path / "celery.log").open("a+") as log:
            log.seek(0, os.SEEK_END)
            begins = log.tell()
            started = [
                processes.start_forked(
                    *command[1:], env=given | (own or {}), preload=processes.CELERY, log=log
                )
                for command, own in commands
            ]
            try:
                with processes.running(*started):
                    yield started
            finally:
                # Shown by pytest when the test fails.
                log.seek(begins)
                print(log.read())

    return start
