"""Tests that need real processes: two workers, a killed worker, a concurrent opt-out."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction

from activity.models import Course, Learner
from common.clock import utc_now
from experiments.protocol import ProtocolError
from interventions.models import Cadence, Delivery
from interventions.operations import InterventionError, save_cap, start_experiment, unsubscribe
from interventions.render.links import LinkOwner
from interventions.stages.dispatch import dispatch_due
from interventions.stages.recover import recover
from segmentation.models import Membership, Transition
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    claim,
    dispatch,
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
)
from tests.long import longer
from tests.processes import (
    finish,
    running,
    start_python,
    wait_for_line,
    wait_until_somebody_waits,
)
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment
from tests.smtp import SmtpSink

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# Prints when it is ready and then waits for a line, so that both workers begin at the same moment.
BARRIER = 'import sys; print("ready", flush=True); sys.stdin.readline()\n'

DISPATCH = (
    BARRIER
    + """
from activity.models import Learner
from common.clock import utc_now
from interventions.stages.dispatch import dispatch_due
print(dict(dispatch_due(clock=utc_now)))
"""
)

# Stops in the middle of its decision, with nothing committed yet.
CLAIM_AND_WAIT = """
import sys
from django.db import transaction
from activity.models import Learner
from common.clock import utc_now
from tests.interventions.factories import claim
with transaction.atomic():
    turn = claim(int(sys.argv[1]), utc_now())
    print("claimed" if turn.claims else "nothing", flush=True)
    sys.stdin.readline()
"""

# The mail server has accepted the message, but the worker never records it.
SEND_AND_HANG = """
import time
from dataclasses import replace
from activity.models import Learner
from common.clock import utc_now
from interventions.channels.email import EMAIL, EmailConnection
from interventions.stages.dispatch import dispatch_due

class Hanging(EmailConnection):
    def send(self, prepared):
        answer = super().send(prepared)
        print(answer.result, flush=True)
        time.sleep(600)

dispatch_due(clock=utc_now, channels={"email": replace(EMAIL, connect=Hanging)})
"""


def start_together(code: str, *, workers: int = 2, env: dict[str, str] | None = None) -> list[str]:
    """Run the code in several processes that begin at one moment. Return their output."""
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


def make_open_course() -> Course:
    """Return a live course that is not over today, by the clock of the workers."""
    return make_live_course(ends_on=(utc_now() + timedelta(days=30)).date())


def make_due(learners: int, courses: int) -> list[Delivery]:
    """Return one message per learner and course, all due for some minutes."""
    cadence = make_cadence()
    of_courses = [make_open_course() for _ in range(courses)]
    at = utc_now() - timedelta(minutes=5)
    return [
        make_delivery(
            make_evaluated(course, learner),
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


def test_a_learner_locked_by_another_worker_is_skipped() -> None:
    save_cap("one a day", limit=1, window="rolling_days", length=1)
    (first,) = make_due(learners=1, courses=1)
    deciding = start_python(CLAIM_AND_WAIT, str(first.learner_id))
    with running(deciding):
        wait_for_line(deciding, "claimed")
        # Planned only now: this worker finds it but cannot see yet that the cap is used up.
        enrollment = make_evaluated(make_open_course(), first.learner)
        expires_at = utc_now() + timedelta(days=1)
        second = make_delivery(enrollment, first.run.cadence, expires_at=expires_at)
        with connection.cursor() as cursor:
            # A worker that waits for the other, instead of skipping the learner, fails here.
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
    deliveries = make_due(learners=20, courses=2)
    # In the opposite order to the worker, so that they meet in the middle.
    said_no = deliveries[::-2][:12]
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


def test_an_experiment_and_a_cadence_for_every_learner_cannot_both_be_saved() -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment, start=False)
    holding = start_python(
        """
import sys
from django.db import transaction
from activity.models import Learner
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

        def release() -> None:
            # Only once the other waits for the lock. Without a lock it would have been saved.
            wait_until_somebody_waits()
            connection.close()
            holding.communicate("go\n")

        releasing = threading.Thread(target=release)
        releasing.start()
        with pytest.raises(InterventionError, match="Choose an arm"):
            make_cadence(segment=segment)
        releasing.join()

    assert not Cadence.objects.exists()


def test_the_reverse_order_refuses_the_experiment() -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment, start=False)
    make_cadence(segment=segment)

    with pytest.raises(ProtocolError, match="would message the control learners too"):
        start_experiment(experiment.pk, now=NOW)


INGEST = (
    BARRIER
    + """
from itertools import count
from activity.models import Enrollment
from activity.operations import ingest
from activity.models import Learner
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


@pytest.mark.parametrize(
    "starts",
    [
        50,
        *longer("test_an_experiment_on_a_playbook_starts_during_ingest_without_a_deadlock", 150),
    ],
)
def test_an_experiment_on_a_playbook_starts_during_ingest_without_a_deadlock(starts: int) -> None:
    course = make_open_course()
    playbook = make_playbook(course)
    # The segments are in the opposite order of their members, so locking one by one would deadlock.
    late, early = (make_segment(playbook, ACTED_TODAY) for _ in range(2))
    everybody = [make_evaluated(course) for _ in range(40)]
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
        for _ in range(starts):
            with transaction.atomic():
                start_experiment(experiment.pk, now=utc_now())
                assert Transition.objects.filter(starts=True).count() == 40
                # Reset, so that the next round starts it again.
                transaction.set_rollback(True)
        assert worker.poll() is None, "ingest failed"
        # Both ran at the same time, not one after the other.
        wait_for_line(worker, "10")


@pytest.mark.long("test_a_worker_takes_the_whole_mailbox_or_skips_it_and_never_waits")
def test_two_workers_break_no_cap_of_a_mailbox_that_learners_share(smtp_sink: SmtpSink) -> None:
    save_cap("one a day", limit=1, window="rolling_hours", length=24)
    mailboxes = {f"family-{number}@example.org" for number in range(12)}
    for address in mailboxes:
        for spelling in (address, address.title()):
            (delivery,) = make_due(learners=1, courses=1)
            Learner.objects.filter(pk=delivery.learner_id).update(email=spelling)

    start_together(DISPATCH, env=smtp_sink.environment)
    # A worker skips a mailbox locked by the other. The next beat finds the remaining messages.
    start_together(DISPATCH, env=smtp_sink.environment)

    assert Counter(each.lower() for each in smtp_sink.recipients) == dict.fromkeys(mailboxes, 1)
    states = Counter(Delivery.objects.values_list("state", "reason"))
    assert states == {("handed_off", ""): 12, ("planned", "frequency_cap"): 12}


# Holds one learner's row until it reads a line.
HOLD_LEARNER = """
import sys
from django.db import transaction
from activity.models import Learner
with transaction.atomic():
    list(Learner.objects.select_for_update(no_key=True).filter(pk=int(sys.argv[1])))
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_worker_takes_the_whole_mailbox_or_skips_it_and_never_waits() -> None:
    first, second = make_due(learners=2, courses=1)
    Learner.objects.update(email="family@example.org")
    for held in (first.learner_id, second.learner_id):
        holder = start_python(HOLD_LEARNER, str(held))
        with running(holder):
            wait_for_line(holder, "held")
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '300ms'")
                for each in (first, second):
                    assert claim(each.learner_id, utc_now()).claims == []
                cursor.execute("RESET lock_timeout")
    turn = claim(second.learner_id, utc_now())
    # Of one priority, the message that was planned first goes first.
    assert [each.delivery for each in turn.claims] == [first]


def test_workers_that_begin_with_different_learners_of_one_mailbox_do_not_block_each_other() -> (
    None
):
    first, second = make_due(learners=2, courses=1)
    Learner.objects.update(email="family@example.org")
    deciding = start_python(CLAIM_AND_WAIT, str(second.learner_id))
    with running(deciding):
        # The worker with the second learner has the first one's row too, so it goes on alone.
        wait_for_line(deciding, "claimed")
        assert claim(first.learner_id, utc_now()).claims == []
        assert deciding.communicate("go\n") is not None
