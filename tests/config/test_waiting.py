"""How long each program waits for a locked row and for a dead connection."""

import pytest

from tests.config.test_settings import PRODUCTION
from tests.processes import database_url, run_python

SHOW = """
from django.db import connection
def show(name):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        print(cursor.fetchone()[0])
"""
WORKER = """
from celery.signals import worker_init
import config.celery
worker_init.send(sender=None)
"""
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("program", "expected"),
    [(WORKER, "5s"), ("import config.wsgi\n", "10s"), ("", "0"), ("import config.celery\n", "0")],
    ids=["worker", "web server", "command", "celery command"],
)
def test_workers_and_pages_wait_shortly_for_a_row_and_commands_without_limit(
    program: str, expected: str
) -> None:
    assert run_python(f"{program}{SHOW}show('lock_timeout')").strip() == expected


def test_production_ends_idle_transactions() -> None:
    given = database_url()
    env = PRODUCTION | {"DATABASE_URL": f"{given}&options=-c%20work_mem%3D7MB"}
    code = f"{SHOW}show('idle_in_transaction_session_timeout')\nshow('work_mem')\n"

    assert run_python(code, env=env).split() == ["10min", "7MB"]
    assert run_python(f"{SHOW}show('idle_in_transaction_session_timeout')").strip() == "0"


def test_timeouts_in_the_address_override_the_defaults() -> None:
    code = "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'])"

    said = run_python(code, env={"DATABASE_URL": f"{database_url()}&connect_timeout=3"})

    assert "'connect_timeout': '3'" in said
    assert "'tcp_user_timeout': '30000'" in said
