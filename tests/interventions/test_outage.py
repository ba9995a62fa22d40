"""An outage postpones no row, and a row that the database refuses delays no other."""

import tempfile
from pathlib import Path

import pytest
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection

from common.database import is_outage
from config.embedded import postgres
from interventions.models import Delivery, Run
from interventions.operations.recording import PAUSES_TO_RECORD
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from tests import template_database
from tests.factories import NOW
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_run,
    make_transition,
)
from tests.processes import finish, running, start_python, wait_for_line

# Gets the mail server's answer and waits for a line while the database stops and starts again.
SEND_AND_WAIT = """
import logging
import sys
from interventions.channels.memory import MemoryConnection, memory_channel
from interventions.models import Delivery
from interventions.channels import Answer, Result
from tests.interventions.factories import dispatch, make_delivery

def answer(message):
    print("sent", flush=True)
    sys.stdin.readline()
    return Answer(Result.HANDED_OFF)

class Tell(logging.Handler):
    def emit(self, record):
        print(record.msg, flush=True)

logging.getLogger("interventions").addHandler(Tell())
make_delivery()
sent, counts = dispatch(channel=MemoryConnection(answer))
print(len(sent), dict(counts), *Delivery.objects.values_list("state", "attempts"))
"""


def refuse(table: str, when: str, condition: str) -> None:
    """Let the database fail on some rows, as for a statement that is too complex."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION too_complex() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'too complex' USING ERRCODE = '54001'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER too_complex BEFORE {when} ON {table} FOR EACH ROW "
            f"WHEN ({condition}) EXECUTE FUNCTION too_complex()"
        )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("state", "outage"),
    [
        ("08006", True),
        ("40P01", True),
        ("53300", True),
        ("55P03", True),
        ("57P01", True),
        ("58030", True),
        ("XX000", True),
        ("0A000", False),
        ("54001", False),
        ("22012", False),
        ("23505", False),
        ("42883", False),
    ],
)
def test_the_error_state_tells_whether_the_server_failed(state: str, outage: bool) -> None:
    with pytest.raises(DatabaseError) as raised, connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")

    assert is_outage(raised.value) is outage


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (OperationalError("no connection"), True),
        (InterfaceError("the connection is closed"), True),
        (DatabaseError("Save with update_fields did not affect any rows."), False),
        (IntegrityError("without a state"), False),
        (ValueError("no database at all"), False),
    ],
)
def test_without_a_state_only_a_lost_connection_is_an_outage(
    error: Exception, outage: bool
) -> None:
    assert is_outage(error) is outage


@pytest.mark.django_db
def test_a_transition_too_complex_for_the_database_delays_no_other() -> None:
    cadence = make_cadence()
    bad, good = make_evaluated(), make_evaluated()
    failing = make_transition(bad, cadence.segment)
    make_transition(good, cadence.segment)
    refuse("interventions_run", "INSERT", f"NEW.enrollment_id = {bad.pk}")

    react_due(now=NOW)

    assert Run.objects.get().enrollment == good
    failing.refresh_from_db()
    assert "too complex" in failing.error


@pytest.mark.django_db
def test_a_step_too_complex_for_the_database_delays_no_other() -> None:
    cadence = make_cadence()
    bad, good = (
        make_run(make_evaluated(), cadence, next_position=0, next_at=NOW) for _ in range(2)
    )
    refuse("interventions_delivery", "INSERT", f"NEW.run_id = {bad.pk}")

    plan_due(now=NOW)

    assert Delivery.objects.get().run == good
    bad.refresh_from_db()
    assert "too complex" in bad.error


@pytest.mark.django_db
def test_a_learner_too_complex_for_the_database_delays_no_other() -> None:
    bad, good = make_delivery(), make_delivery()
    refuse("interventions_delivery", "UPDATE", f"NEW.id = {bad.pk} AND NEW.state = 'claimed'")

    dispatch()

    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.state, bad.reason, good.state) == ("planned", "error", "handed_off")


def test_a_worker_tries_to_record_for_about_a_minute() -> None:
    assert 50 <= sum(PAUSES_TO_RECORD) <= 90


@pytest.mark.slow
@pytest.mark.usefixtures("django_db_setup")
def test_a_hand_off_is_recorded_even_if_the_database_restarts() -> None:
    with tempfile.TemporaryDirectory(prefix="nudgelab-pg-") as folder:
        data = Path(folder) / "postgres"
        postgres.ensure_running(data)
        try:
            template_database.copy_to(data)
            worker = start_python(SEND_AND_WAIT, env={"DATABASE_URL": postgres.address(data)})
            with running(worker):
                wait_for_line(worker, "sent")
                postgres.stop(data)
                assert worker.stdin is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
                # At once, and after half a second and a second: it does not give up.
                for _ in range(3):
                    wait_for_line(worker, "%d deliveries: tried to record again")
                postgres.ensure_running(data)
                done = finish(worker)
        finally:
            postgres.stop(data)

    assert done.status == 0, done.errors
    assert done.output.splitlines()[-1] == "1 {'handed_off': 1} ('handed_off', 1)"
