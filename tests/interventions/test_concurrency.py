"""What only real processes show: two workers, a killed one, a learner who says no meanwhile."""

import subprocess
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction

from common.clock import utc_now
from experiments.models import Assignment
from interventions import react
from interventions.dispatch import dispatch_due
from interventions.errors import InterventionError
from interventions.models import Cadence, Delivery, Run
from interventions.operations import recover, save_cap, start_experiment, unsubscribe
from interventions.react import react_due
from interventions.render.links import LinkOwner
from segmentation.models import Membership, Transition
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    dispatch,
    make_any_segment,
    make_cadence,
    make_delivery,
    make_experiment,
    make_live_course,
    make_run,
    make_settled,
    make_transition,
)
from tests.processes import finish, running, start_python, wait_for_line
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment
from tests.smtp import SmtpSink

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# Says when it is ready, and starts when told: both workers begin at the same moment.
BARRIER = 'import sys; print("ready", flush=True); sys.stdin.readline()\n'

DISPATCH = (
    BARRIER
    + """
from common.clock import utc_now
from interventions.dispatch import dispatch_due
print(dict(dispatch_due(clock=utc_now)))
"""
)

REACT = (
    BARRIER
    + """
from common.clock import utc_now
from interventions.react import react_due
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

# In the middle of its decision, with nothing committed yet.
CLAIM_AND_WAIT = """
import sys
from django.db import transaction
from common.clock import utc_now
from interventions.operations.claim import claim_next
from interventions.operations.desk import Desk
with transaction.atomic():
    desk = Desk({"email": lambda outgoing: outgoing})
    turn = claim_next(int(sys.argv[1]), now=utc_now(), desk=desk, channels=["email"])
    print("claimed" if turn.claim else "nothing", flush=True)
    sys.stdin.readline()
"""

# The mail server has taken the message, and the worker never gets to write it down.
SEND_AND_HANG = """
import time
from common.clock import utc_now
from interventions.channels import EmailChannel
from interventions.dispatch import dispatch_due

class Hanging(EmailChannel):
    def send(self, prepared):
        answer = super().send(prepared)
        print(answer.result, flush=True)
        time.sleep(600)

dispatch_due(clock=utc_now, channels={"email": Hanging()})
"""


def start_together(code: str, *, workers: int = 2, env: dict[str, str] | None = None) -> list[str]:
    """Run the code in several processes that begin at one moment. Return what they printed."""
    processes = [start_python(code, env=env) for _ in range(workers)]
    with running(*processes):
        for process in processes:
            wait_for_line(process, "ready")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        done = [finish(process) for process in processes]
    assert [each.status for each in done] == [0] * workers, [each.errors for each in done]
    return [each.output for each in done]


def make_due(learners: int, courses: int) -> list[Delivery]:
    """Return a message a learner and course, all due for some minutes."""
    cadence = make_cadence()
    of_courses = [make_live_course() for _ in range(courses)]
    at = utc_now() - timedelta(minutes=5)
    return [
        make_delivery(
            make_settled(course, learner),
            cadence,
            planned_at=at,
            send_at=at,
            expires_at=at + timedelta(days=1),
        )
        for learner in [make_learner() for _ in range(learners)]
        for course in of_courses
    ]


def test_two_workers_make_no_duplicate_and_break_no_cap(smtp_sink: SmtpSink) -> None:
    save_cap("two a day", limit=2, window="rolling_days", length=1)
    deliveries = make_due(learners=12, courses=4)

    start_together(DISPATCH, env=smtp_sink.environment)

    got = Counter(smtp_sink.recipients)
    assert got == {delivery.learner.email: 2 for delivery in deliveries}
    ids = [message["Message-ID"] for message in smtp_sink.messages]
    assert len(ids) == len(set(ids)) == 24
    states = Counter(Delivery.objects.values_list("state", "reason"))
    assert states == {("handed_off", ""): 24, ("planned", "frequency_cap"): 24}


def test_a_learner_whom_another_worker_has_is_left_to_it() -> None:
    save_cap("one a day", limit=1, window="rolling_days", length=1)
    (first,) = make_due(learners=1, courses=1)
    deciding = start_python(CLAIM_AND_WAIT, str(first.learner_id))
    with running(deciding):
        wait_for_line(deciding, "claimed")
        # Planned only now: this worker finds it, and cannot see yet that the cap is used up.
        enrollment = make_settled(make_live_course(), first.learner)
        expires_at = utc_now() + timedelta(days=1)
        second = make_delivery(enrollment, first.run.cadence, expires_at=expires_at)
        with connection.cursor() as cursor:
            # A worker that waited for the other instead of leaving it alone fails here.
            cursor.execute("SET lock_timeout = '5s'")
            assert dispatch(utc_now())[0] == []
            cursor.execute("RESET lock_timeout")
        second.refresh_from_db()
        assert (second.state, second.reason) == ("planned", "")
        assert deciding.communicate("go\n") is not None

    assert dispatch(utc_now())[0] == []
    second.refresh_from_db()
    assert (second.state, second.reason) == ("planned", "frequency_cap")


def test_a_worker_killed_before_it_records_leaves_one_doubt_and_no_second_mail(
    smtp_sink: SmtpSink, settings
) -> None:
    (delivery,) = make_due(learners=1, courses=1)
    worker = start_python(SEND_AND_HANG, env=smtp_sink.environment)
    with running(worker):
        wait_for_line(worker, "handed_off")
        worker.kill()
        worker.wait()
    delivery.refresh_from_db()
    assert (delivery.state, len(smtp_sink.messages)) == ("claimed", 1)

    after_lease = utc_now() + timedelta(minutes=15)
    recover(now=after_lease)
    settings.EMAIL_BACKEND = smtp_sink.environment["EMAIL_BACKEND"]
    settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_sink.host, smtp_sink.port
    for minutes in range(0, 600, 60):
        dispatch_due(clock=lambda minutes=minutes: after_lease + timedelta(minutes=minutes))
        recover(now=after_lease + timedelta(minutes=minutes))

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == ("in_doubt", "lease_expired")
    assert len(smtp_sink.messages) == 1


def test_nobody_is_mailed_after_unsubscribing_while_mails_are_due(smtp_sink: SmtpSink) -> None:
    deliveries = make_due(learners=30, courses=2)
    # From the last on, against the worker's direction: they meet in the middle.
    said_no = deliveries[::-2][:20]
    claimed: dict[str, int] = {}
    worker = start_python(DISPATCH, env=smtp_sink.environment)
    with running(worker):
        wait_for_line(worker, "ready")
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
        for delivery in said_no:
            owner = LinkOwner(delivery.learner_id, delivery.enrollment_id, delivery.key)
            unsubscribe(owner, source="one_click", now=utc_now())
            mine = Delivery.objects.filter(learner=delivery.learner, claimed_at__isnull=False)
            claimed[delivery.learner.email] = mine.count()
        assert finish(worker).status == 0

    got = Counter(smtp_sink.recipients)
    assert {address: got[address] for address in claimed} == claimed
    left = Delivery.objects.filter(learner__email__in=claimed, state="planned")
    assert not left.exists()
    others = {delivery.learner.email for delivery in deliveries} - set(claimed)
    assert {address: got[address] for address in others} == dict.fromkeys(others, 2)


def test_two_workers_react_once_to_each_transition() -> None:
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(0), exit_on_leave=False)
    course = make_live_course()
    transitions = [make_transition(make_settled(course), cadence.segment) for _ in range(40)]

    handled = start_together(REACT)

    assert sum(map(int, handled)) == 40
    started = Counter(Run.objects.values_list("transition", flat=True))
    assert started == {transition.pk: 1 for transition in transitions}


def test_react_passes_over_whom_another_transaction_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(react, "BATCH", 5)
    cadence, course = make_cadence(), make_live_course()
    held = [make_settled(course) for _ in range(12)]
    for enrollment in held:
        make_transition(enrollment, cadence.segment, next_attempt_at=NOW - timedelta(hours=1))
    free = make_settled(make_live_course())
    make_transition(free, cadence.segment)
    holder = start_python(HOLD_DUE, ",".join(str(each.pk) for each in held))
    with running(holder):
        wait_for_line(holder, "held")
        assert react_due(now=NOW) == 1
        holder.communicate("go\n")

    assert react_due(now=NOW) == 12
    assert Run.objects.count() == 13


@pytest.mark.parametrize("kind", ["enter", "leave"])
def test_a_run_that_is_held_delays_its_own_enrollment_alone(kind: str) -> None:
    cadence = make_cadence(reentry="cooldown", cooldown=timedelta(0))
    busy, free = make_settled(make_live_course()), make_settled(make_live_course())
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


def test_dropping_for_two_reasons_takes_the_messages_in_one_order() -> None:
    enrollment, first, second = make_settled(make_live_course()), make_cadence(), make_cadence()
    of_second = make_delivery(run=make_run(enrollment, second))
    of_first = make_delivery(run=make_run(enrollment, first))
    make_transition(enrollment, first.segment, "leave")
    make_transition(enrollment, second.segment, "leave", cause="course_over", starts=False)
    worker, other = start_python(REACT), start_python(POSTPONE, str(enrollment.learner_id))
    with running(worker, other):
        for process in (worker, other):
            wait_for_line(process, "ready")
        with transaction.atomic():
            Delivery.objects.select_for_update(no_key=True).get(pk=of_first.pk)
            go(worker)
            wait_for_waiting_locks(1)
            go(other)
            wait_for_waiting_locks(2)
        done = [finish(worker), finish(other)]

    assert [each.status for each in done] == [0, 0], [each.errors for each in done]
    states = Delivery.objects.filter(pk__in=(of_first.pk, of_second.pk)).values_list("state")
    assert set(states) == {("dropped",)}


def test_a_cadence_archived_before_an_experiment_starts_messages_nobody_drawn() -> None:
    everybody = make_cadence(segment=make_any_segment(make_live_course()))
    experiment = make_experiment(everybody.segment, start=False)
    enrollment = make_settled(everybody.segment.playbook.courses.get())
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
            thread.join(20)
        return execute(sql, *rest)

    with connection.execute_wrapper(before_the_experiments_are_read):
        assert react_due(now=NOW) == 1

    assert done
    assert Assignment.objects.filter(enrollment=enrollment).count() == 1
    assert not Run.objects.exists()


def go(process: subprocess.Popen[str]) -> None:
    """Let the process go on."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def wait_for_waiting_locks(number: int) -> None:
    """Return when so many other sessions wait for a lock. Fail after twenty seconds."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    )
    for _ in range(400):
        with connection.cursor() as cursor:
            # A transaction would otherwise see again what it saw first.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waiting, [connection.settings_dict["NAME"]])
            if cursor.fetchone()[0] >= number:
                return
        time.sleep(0.05)
    raise AssertionError(f"fewer than {number} wait")


def test_an_experiment_and_a_cadence_for_everybody_cannot_slip_past_each_other() -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment, start=False)
    holding = start_python(
        """
import sys
from django.db import transaction
from common.clock import utc_now
from interventions.operations import start_experiment
with transaction.atomic():
    start_experiment(int(sys.argv[1]), now=utc_now())
    print("started", flush=True)
    sys.stdin.readline()
""",
        str(experiment.pk),
    )
    with running(holding):
        wait_for_line(holding, "started")
        assert holding.stdin is not None
        release = threading.Timer(1.0, lambda: holding.communicate("go\n"))
        release.start()
        began = time.monotonic()
        with pytest.raises(InterventionError, match="choose an arm"):
            make_cadence(segment=segment)
        waited = time.monotonic() - began
        release.join()

    assert waited > 0.5
    assert not Cadence.objects.exists()


def test_the_reverse_order_refuses_the_experiment() -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment, start=False)
    make_cadence(segment=segment)

    with pytest.raises(InterventionError, match="for everybody"):
        start_experiment(experiment.pk, now=NOW)


INGEST = (
    BARRIER
    + """
from itertools import count
from activity.models import Enrollment
from activity.operations import ingest
from common.clock import utc_now
from tests.factories import make_event
print("begun", flush=True)
everybody = list(Enrollment.objects.select_related("course", "learner"))
for number in count():
    now = utc_now()
    events = [make_event(each, occurred_at=now) for each in everybody]
    assert ingest(events, now=now).stored == len(events)
    print(number, flush=True)
"""
)


def test_an_experiment_on_a_playbook_starts_beside_ingest_without_a_deadlock() -> None:
    course = make_live_course()
    playbook = make_playbook(course)
    # The segments' order is against that of their members: taken one by one, they cross.
    late, early = (make_segment(playbook, ACTED_TODAY) for _ in range(2))
    everybody = [make_settled(course) for _ in range(40)]
    for position, enrollment in enumerate(everybody):
        segment = early if position < 20 else late
        Membership.objects.create(segment=segment, enrollment=enrollment, entered_at=NOW, version=1)
    experiment = make_experiment(None, playbook=playbook, start=False)
    worker = start_python(INGEST)
    with running(worker):
        wait_for_line(worker, "ready")
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
        wait_for_line(worker, "0")
        for _ in range(150):
            with transaction.atomic():
                start_experiment(experiment.pk, now=utc_now())
                assert Transition.objects.filter(starts=True).count() == 40
                # As if it had never been: the next round starts it again.
                transaction.set_rollback(True)
        assert worker.poll() is None, "ingest failed"
        # Both went on beside each other, not one after the other.
        wait_for_line(worker, "10")
