"""Workers that archive at once, that are killed, and that meet others at a message."""

import json
import subprocess
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from common.archive import Month, drop_months, make_months, months_of
from common.database import is_held
from interventions.models import (
    ArchivedDelivery,
    ArchivedTrace,
    Delivery,
    Run,
    SentMessage,
    TrackingEvent,
)
from interventions.operations.archived_messages import ARCHIVED_DELIVERIES
from segmentation.models import ArchivedTransition, Transition
from tests.factories import NOW
from tests.interventions.archive.worlds import OLD, TRACE, archive, make_full, make_old
from tests.interventions.factories import make_any_segment, make_evaluated, make_transition
from tests.interventions.test_concurrency import BARRIER
from tests.long import longer
from tests.processes import finish, running, start_python, wait_for_line

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ARCHIVE = (
    BARRIER
    + """
import json
from datetime import datetime
from interventions.operations.archive import archive_old
now = datetime.fromisoformat(sys.argv[1])
said = lambda number: print("moved", flush=True)
found = archive_old(now=now, budget=60, on_progress=said)
print(json.dumps([found.messages, found.transitions]))
"""
)

# Stops with a batch moved and nothing committed.
MOVE_AND_HANG = """
import sys
from datetime import datetime
from django.db import transaction
from interventions.operations.archive import archive_old
with transaction.atomic():
    archive_old(now=datetime.fromisoformat(sys.argv[1]), budget=60)
    print("moved", flush=True)
    sys.stdin.readline()
"""

HOLD_MESSAGE = """
import sys
from django.db import transaction
from interventions.models import Delivery
with transaction.atomic():
    Delivery.objects.select_for_update(no_key=True).get(pk=int(sys.argv[1]))
    print("held", flush=True)
    sys.stdin.readline()
"""

READ = """
import sys
from django.apps import apps
from django.db import transaction
with transaction.atomic():
    apps.get_model(sys.argv[1]).objects.count()
    print("held", flush=True)
    sys.stdin.readline()
"""

# A report of a provider, stored but not committed.
REPORT = """
import sys
from datetime import datetime
from django.db import connection, transaction
from interventions.models import TrackingEvent
with transaction.atomic():
    at = datetime.fromisoformat(sys.argv[2])
    TrackingEvent.objects.create(digest="late", provider="postmark", delivery_id=int(sys.argv[1]),
        kind="complained", happened_at=at, received_at=at)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    print("held", flush=True)
    sys.stdin.readline()
"""


def make_many(number: int) -> set[int]:
    """Return the ids of old messages over some months, each with what was sent."""
    enrollment, first = make_evaluated(), make_old()
    runs = Run.objects.bulk_create(
        Run(
            cadence_id=first.run.cadence_id,
            enrollment=enrollment,
            status="finished",
            started_at=OLD,
            ended_at=OLD,
        )
        for _ in range(number)
    )
    made = Delivery.objects.bulk_create(
        Delivery(
            run=run,
            step_id=first.step_id,
            learner=enrollment.learner,
            enrollment=enrollment,
            category_id=first.category_id,
            channel="email",
            priority=1,
            ghost=False,
            state="handed_off",
            planned_at=OLD,
            send_at=OLD,
            expires_at=OLD,
            claimed_at=OLD,
            finished_at=OLD - timedelta(days=place % 90),
            message_id=f"<{uuid4()}@here>",
            trace=TRACE,
        )
        for place, run in enumerate(runs)
    )
    SentMessage.objects.bulk_create(
        SentMessage(delivery=each, subject="x", text=f"text {each.pk}", locale="en")
        for each in made
    )
    return {first.pk, *(each.pk for each in made)}


def check_all_once(ids: set[int]) -> None:
    """Check that each message is in the ledger or in the archive, once, with what was sent."""
    live = list(Delivery.objects.values_list("pk", flat=True))
    archived = list(ArchivedDelivery.objects.values_list("pk", flat=True))
    assert sorted(live + archived) == sorted(ids)
    traces = ArchivedTrace.objects.order_by("pk").values_list("pk", "sent", "trace")
    assert [pk for pk, _, _ in traces] == sorted(archived)
    texts = {pk: sent["text"] for pk, sent, _ in traces if sent}
    assert texts == {pk: f"text {pk}" for pk in archived if pk in texts}
    assert len(texts) + SentMessage.objects.count() == len(ids) - 1
    assert all(trace == TRACE for _, _, trace in traces)


def test_two_workers_move_each_message_once() -> None:
    ids = make_many(1_500)
    segment, member = make_any_segment(), make_evaluated()
    for _ in range(40):
        make_transition(member, segment, occurred_at=OLD, processed_at=OLD)

    processes = [start_python(ARCHIVE, NOW.isoformat()) for _ in range(2)]
    with running(*processes):
        for process in processes:
            wait_for_line(process, "ready")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [finish(process) for process in processes]
        assert [each.errors for each in said if each.status] == []
        moved = [json.loads(each.output.splitlines()[-1]) for each in said]

    # Each may skip what the other holds. The next pass finds it.
    assert sum(messages for messages, _ in moved) <= 1_501
    archive()
    check_all_once(ids)
    assert not Delivery.objects.exists()
    assert (Transition.objects.count(), ArchivedTransition.objects.count()) == (0, 40)


def test_a_worker_killed_before_the_commit_has_moved_nothing() -> None:
    ids = make_many(700)

    process = start_python(MOVE_AND_HANG, NOW.isoformat())
    with running(process):
        wait_for_line(process, "moved")
        process.kill()
        process.wait()

    assert Delivery.objects.count() == 701
    check_all_once(ids)
    assert archive().messages == 701
    check_all_once(ids)


@pytest.mark.parametrize(
    "seconds",
    [0.0, *longer("test_a_worker_killed_at_any_moment_loses_and_doubles_nothing", 0.05)],
)
def test_a_worker_killed_at_any_moment_loses_and_doubles_nothing(seconds: float) -> None:
    ids = make_many(3_000)

    process = start_python(ARCHIVE, NOW.isoformat())
    with running(process):
        wait_for_line(process, "ready")
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        wait_for_line(process, "moved")
        time.sleep(seconds)
        process.kill()
        process.wait()

    _wait_for_the_end_of_others()
    assert 0 < ArchivedDelivery.objects.count() < 3_001
    check_all_once(ids)
    archive()
    check_all_once(ids)
    assert not Delivery.objects.exists()


def test_a_message_that_another_transaction_holds_is_skipped() -> None:
    held, free = make_old(), make_old()

    with _held(HOLD_MESSAGE, str(held.pk)):
        assert archive().messages == 1
        assert Delivery.objects.get() == held

    assert archive().messages == 1
    check = ArchivedDelivery.objects.values_list("pk", flat=True)
    assert set(check) == {held.pk, free.pk}


def test_a_report_that_is_stored_meanwhile_is_not_lost() -> None:
    first, second = make_full(), make_full()

    process = start_python(REPORT, str(first.pk), NOW.isoformat())
    mover = start_python(ARCHIVE, NOW.isoformat())
    with running(process, mover):
        wait_for_line(process, "held")
        wait_for_line(mover, "ready")
        assert mover.stdin is not None
        assert process.stdin is not None
        mover.stdin.write("go\n")
        mover.stdin.flush()
        time.sleep(1)
        process.stdin.write("go\n")
        process.stdin.flush()
        said = finish(mover)

    assert said.status == 0, said.errors
    assert not Delivery.objects.exists()
    assert not TrackingEvent.objects.exists()
    trace = ArchivedTrace.objects.get(pk=first.pk)
    assert [each["kind"] for each in trace.reports] == ["opened", "opened", "complained"]
    assert ArchivedTrace.objects.filter(pk=second.pk).exists()


def test_a_month_that_is_read_is_dropped_later() -> None:
    make_months([ARCHIVED_DELIVERIES], [Month(2000, 1), Month(2001, 1)])

    with _held(READ, "activity.Enrollment"):
        # Nobody who works with enrollments waits for a month that is dropped.
        assert drop_months(ARCHIVED_DELIVERIES, before=Month(2001, 1)) == [Month(2000, 1)]
    with _held(READ, "interventions.ArchivedDelivery"):
        begun = time.monotonic()
        with pytest.raises(OperationalError) as raised:
            drop_months(ARCHIVED_DELIVERIES, before=Month(2002, 1))
        assert is_held(raised.value)
        assert time.monotonic() - begun < 1

    assert drop_months(ARCHIVED_DELIVERIES, before=Month(2002, 1)) == [Month(2001, 1)]
    assert Month(2001, 1) not in months_of(ARCHIVED_DELIVERIES)


def test_a_message_cannot_be_archived_for_a_learner_who_is_gone() -> None:
    gone = make_old()
    archive()
    kept = ArchivedDelivery.objects.get()
    gone.learner.delete()

    with pytest.raises(IntegrityError), transaction.atomic():
        ArchivedDelivery.objects.bulk_create([kept])


class _held:  # noqa: N801
    """Run a process that holds something during the block."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.process: subprocess.Popen[str] = start_python(code, *arguments)

    def __enter__(self) -> None:
        wait_for_line(self.process, "held")

    def __exit__(self, *error: object) -> None:
        with running(self.process):
            finish(self.process)


def _wait_for_the_end_of_others() -> None:
    """Wait until the server has noticed that a killed worker is gone."""
    with connection.cursor() as cursor:
        for _ in range(100):
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
            )
            if cursor.fetchone() == (0,):
                return
            time.sleep(0.05)
