"""Tests of react that need real processes: locked rows, two workers, two lock orders."""

import subprocess
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction

from experiments.models import Assignment
from interventions.models import Cadence, Delivery, Run
from interventions.operations import start_experiment
from interventions.stages import react
from interventions.stages.react import react_due
from tests.factories import NOW
from tests.interventions.factories import (
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
    make_transition,
)
from tests.interventions.test_concurrency import BARRIER, start_together
from tests.processes import SECONDS_TO_FINISH, finish, running, start_python, wait_for_line

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

REACT = (
    BARRIER
    + """
from common.clock import utc_now
from interventions.stages.react import react_due
print(react_due(now=utc_now()))
"""
)

HOLD_DUE = """
import sys
from django.db import transaction
from activity.models import Due
with transaction.atomic():
    ids = list(map(int, sys.argv[1].split(",")))
    list(Due.objects.select_for_update(no_key=True).filter(pk__in=ids).values_list("pk"))
    print("held", flush=True)
    sys.stdin.readline()
"""

HOLD_RUN = """
import sys
from django.db import transaction
from interventions.models import Run
with transaction.atomic():
    Run.objects.select_for_update(no_key=True).get(pk=int(sys.argv[1]))
    print("held", flush=True)
    sys.stdin.readline()
"""

POSTPONE = (
    BARRIER
    + """
from datetime import timedelta
from common.clock import utc_now
from interventions.operations.claim import postpone
now = utc_now()
postpone(int(sys.argv[1]), until=now + timedelta(minutes=5), now=now, error="x")
"""
)


def test_two_workers_react_once_to_each_transition() -> None:
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(0), exit_on_leave=False)
    course = make_live_course()
    transitions = [make_transition(make_evaluated(course), cadence.segment) for _ in range(40)]

    handled = start_together(REACT)

    assert sum(map(int, handled)) == 40
    started = Counter(Run.objects.values_list("transition", flat=True))
    assert started == {transition.pk: 1 for transition in transitions}


def test_react_skips_enrollments_locked_by_another_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(react, "BATCH_SIZE", 5)
    cadence, course = make_cadence(), make_live_course()
    held = [make_evaluated(course) for _ in range(12)]
    for enrollment in held:
        make_transition(enrollment, cadence.segment, next_attempt_at=NOW - timedelta(hours=1))
    free = make_evaluated(make_live_course())
    make_transition(free, cadence.segment)
    holder = start_python(HOLD_DUE, ",".join(str(each.pk) for each in held))
    with running(holder):
        wait_for_line(holder, "held")
        assert react_due(now=NOW) == 1
        holder.communicate("go\n")

    assert react_due(now=NOW) == 12
    assert Run.objects.count() == 13


@pytest.mark.parametrize("kind", ["enter", "leave"])
def test_a_locked_run_delays_only_its_enrollment(kind: str) -> None:
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(0))
    busy, free = make_evaluated(make_live_course()), make_evaluated(make_live_course())
    run = make_run(busy, cadence, next_position=0, next_at=NOW)
    make_transition(busy, cadence.segment, kind)
    make_transition(free, cadence.segment)
    holder = start_python(HOLD_RUN, str(run.pk))
    with running(holder):
        wait_for_line(holder, "held")
        assert react_due(now=NOW) == 1
        assert Run.objects.get(enrollment=free).status == "active"
        holder.communicate("go\n")

    assert react_due(now=NOW) == 1
    run.refresh_from_db()
    assert run.status == ("exited" if kind == "leave" else "active")


def test_postponing_does_not_wait_for_a_locked_message() -> None:
    enrollment, cadence = make_evaluated(make_live_course()), make_cadence()
    held = make_delivery(run=make_run(enrollment, cadence))
    other = make_delivery(run=make_run(enrollment, make_cadence()))
    worker = start_python(POSTPONE, str(enrollment.learner_id))
    with running(worker):
        wait_for_line(worker, "ready")
        with transaction.atomic():
            Delivery.objects.select_for_update(no_key=True).get(pk=held.pk)
            go(worker)
            assert finish(worker).status == 0

    reasons = Delivery.objects.order_by("pk").values_list("pk", "reason")
    assert list(reasons) == [(held.pk, ""), (other.pk, "error")]


def test_a_cadence_archived_before_an_experiment_messages_no_drawn_learner() -> None:
    everybody = make_cadence(segment=make_any_segment(make_live_course()))
    experiment = make_experiment(everybody.segment, start=False)
    enrollment = make_evaluated(everybody.segment.playbook.courses.get())
    make_transition(enrollment, everybody.segment)
    done: list[bool] = []

    def archive_and_start() -> None:
        Cadence.objects.filter(pk=everybody.pk).update(status="archived")
        start_experiment(experiment.pk, now=NOW, draw_present=False)
        done.append(True)
        connection.close()

    def before_the_experiments_are_read(execute, sql, *rest):
        if "experiments_experiment" in sql and not done:
            thread = threading.Thread(target=archive_and_start)
            thread.start()
            thread.join(SECONDS_TO_FINISH)
        return execute(sql, *rest)

    with connection.execute_wrapper(before_the_experiments_are_read):
        assert react_due(now=NOW) == 1

    assert done
    assert Assignment.objects.filter(enrollment=enrollment).count() == 1
    assert not Run.objects.exists()


def go(process: subprocess.Popen[str]) -> None:
    """Let the process continue."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
