"""Workers that draw adaptively, killed at each step or at work together, as real processes."""

import signal
import subprocess
from uuid import UUID

import pytest
from django.db import connection

from activity.models import Course, Enrollment
from experiments.ledger import Draws
from experiments.models import Assignment, Experiment, LedgerEntry, SharePeriod
from experiments.queries import verify_experiment
from experiments.queries.ledger import entry_of
from interventions.models import Run
from tests.experiments.adaptive_world import WEEKS_LATER, adaptive, attempt, course_of, enter
from tests.factories import NOW
from tests.interventions.factories import (
    LIVE_SINCE,
    arm_of,
    make_cadence,
    make_evaluated,
    make_transition,
)
from tests.processes import (
    finish,
    running,
    start_python,
    wait_for_line,
    wait_until,
    wait_until_somebody_waits,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# Reacts and seals. At the point, named by a table and whether its row is written, the worker is
# killed, or waits to be killed.
WORKER = """
import os, signal, sys
from datetime import datetime
from django.db import connection
from experiments.operations import seal_due
from interventions.stages import react

table, when, act, now = sys.argv[1:]
react.BATCH_SIZE = 6

def come_to_the_point():
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    print("here", flush=True)
    sys.stdin.readline()

def watch(execute, sql, *rest):
    is_it = bool(table) and sql.startswith(f'INSERT INTO "experiments_{table}"')
    if is_it and when == "before":
        come_to_the_point()
    found = execute(sql, *rest)
    if is_it and when == "after":
        come_to_the_point()
    return found

connection.execute_wrappers.append(watch)
react.react_due(now=datetime.fromisoformat(now))
seal_due(now=datetime.fromisoformat(now), budget=30)
"""
LEARNERS = 24


@pytest.fixture
def waiting() -> Experiment:
    """Return an experiment whose shares change with the next of 24 learners who wait."""
    experiment = adaptive()
    attempt(enter(experiment, 20, at=NOW))
    Course.objects.update(live_since=LIVE_SINCE)
    assert experiment.segment is not None
    make_cadence(
        segment=experiment.segment,
        arm=arm_of(experiment, "nudge"),
        ghost_for=arm_of(experiment, "control"),
    )
    for number in range(LEARNERS):
        enrollment = make_evaluated(course_of(experiment))
        Enrollment.objects.filter(pk=enrollment.pk).update(unit_key=UUID(int=1000 + number))
        make_transition(enrollment, experiment.segment, next_attempt_at=NOW)
    return experiment


def start(table: str = "", when: str = "", act: str = "") -> subprocess.Popen[str]:
    return start_python(WORKER, table, when, act, WEEKS_LATER.isoformat())


def nobody_works() -> bool:
    """Return whether the database has noticed that the killed worker is gone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL)"
        )
        return bool(cursor.fetchone()[0])


def all_were_drawn_once(experiment: Experiment) -> None:
    """Fail unless ledger, shares and draws are those of one worker without a fault."""
    found = verify_experiment(experiment.key)
    assert (found.difference, found.draws, found.unsealed) == ("", 20 + LEARNERS, 0)
    drawn = Assignment.objects.values_list("position", flat=True).order_by("position")
    assert list(drawn) == list(range(20 + LEARNERS))
    assert list(SharePeriod.objects.values_list("position", flat=True)) == [0, 20, 40]
    entries = LedgerEntry.objects.filter(kind="draws").order_by("position")
    held, used = [], set()
    for draws in (Draws.read(entry_of(each)) for each in entries):
        held += [each.position for each in draws.shares]
        used |= {each.period for each in draws.units}
        # No draw is sealed before the shares that drew it.
        assert used <= set(held)
    assert held == [0, 20, 40]
    assert Run.objects.count() == LEARNERS


def test_killed_worker_leaves_no_shares_without_draws_and_nobody_is_drawn_twice(
    waiting: Experiment,
) -> None:
    for table, when in (
        ("shareperiod", "before"),
        ("shareperiod", "after"),
        ("assignment", "before"),
        ("assignment", "after"),
    ):
        assert finish(start(table, when, "kill")).status == -signal.SIGKILL
        assert wait_until(nobody_works)
        assert SharePeriod.objects.get().position == 0
        assert Assignment.objects.count() == 20
    for when in ("before", "after"):
        assert finish(start("ledgerentry", when, "kill")).status == -signal.SIGKILL
        assert wait_until(nobody_works)
        # Drawn by the first of them, and sealed by nobody yet.
        assert Assignment.objects.count() == 20 + LEARNERS
        assert not LedgerEntry.objects.filter(kind="draws").exists()
    assert verify_experiment(waiting.key).difference == ""

    assert finish(start()).status == 0
    all_were_drawn_once(waiting)


def test_worker_that_waits_for_a_killed_one_writes_the_shares(waiting: Experiment) -> None:
    killed, other = start("shareperiod", "after", "hold"), None
    with running(killed):
        wait_for_line(killed, "here")
        other = start()
        with running(other):
            wait_until_somebody_waits()
            killed.kill()
            assert finish(other).status == 0
    # What the killed worker had locked was passed over.
    assert wait_until(nobody_works)
    both = [start(), start()]
    with running(*both):
        assert [finish(each).status for each in both] == [0, 0]
    all_were_drawn_once(waiting)
