"""Ingest in real processes: two at once, and killed ones."""

import json
import signal
import time

import pytest
from django.db import connection

from activity.models import DailyActivity, Due, Enrollment, Event, Progress
from activity.operations import ingest, rebuild_read_models
from tests.factories import NOW, make_course, make_enrollment, make_event, make_item
from tests.processes import finish, running, start_python, wait_for_line

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = 20
BATCH_SIZE = 400
NOW_TEXT = NOW.isoformat()

# Ingests the batches of a file, each one after a signal to go on.
INGEST = """
import json, sys
from datetime import datetime
from activity.operations import ingest

now = datetime.fromisoformat(sys.argv[2])
batches = json.load(open(sys.argv[1]))
print("ready", flush=True)
for number, batch in enumerate(batches):
    sys.stdin.readline()
    result = ingest(batch, now=now)
    assert result.rejected == [], result
    print(f"batch {number}", flush=True)
"""

# Rebuilds the read models repeatedly until its input ends.
REBUILD = """
import sys, threading
from activity.operations import rebuild_read_models

ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
print("ready", flush=True)
while not ended.is_set():
    rebuild_read_models()
"""

# Stops inside the transaction, when everything is written and nothing is committed.
STOP_BEFORE_COMMIT = """
import json, sys
from datetime import datetime
from django.db import transaction
from activity.operations import ingest

with transaction.atomic():
    ingest(json.load(open(sys.argv[1])), now=datetime.fromisoformat(sys.argv[2]))
    print("written", flush=True)
    sys.stdin.readline()
"""


def make_learners():
    """Return eight enrollments of a course with a quiz, and the quiz."""
    course = make_course()
    quiz = make_item(course, "quiz", parent=make_item(course, "module"))
    return [make_enrollment(course, due_at=None) for _ in range(8)], quiz


def make_events(enrollments, quiz, count):
    """Return quiz attempts of the enrollments in turn, as a platform would send them."""
    return [
        {
            **make_event(enrollments[number % len(enrollments)], "ATTEMPT_QUIZ", item=quiz),
            "score": 0.5,
            "occurred_at": NOW_TEXT,
            "source_id": f"{number:05}",
        }
        for number in range(count)
    ]


def in_overlapping_batches(events):
    """Return batches of which each repeats the last half batch of the one before."""
    step = BATCH_SIZE // 2
    return [events[start : start + BATCH_SIZE] for start in range(0, len(events) - step, step)]


def written(tmp_path, name, content):
    """Return the path of a file with the content as JSON."""
    path = tmp_path / name
    path.write_text(json.dumps(content))
    return str(path)


def read_models():
    """Return both read models without their ids."""
    return [
        sorted(
            (tuple(sorted((k, str(v)) for k, v in row.items() if k != "id")))
            for row in model.objects.values()
        )
        for model in (DailyActivity, Progress)
    ]


def go(*processes):
    """Let the processes ingest their next batch."""
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


@pytest.mark.parametrize("same_learners", [True, False], ids=["same learners", "other learners"])
def test_overlapping_batches_in_opposite_order_do_not_deadlock(tmp_path, same_learners):
    # The same ids for other learners are a fault of the source. Then no lock on the learners
    # separates the two, only the order in which the events are inserted.
    enrollments, quiz = make_learners()
    others, other_quiz = (enrollments, quiz) if same_learners else make_learners()
    count = (ROUNDS + 1) * BATCH_SIZE // 2
    forth = in_overlapping_batches(make_events(enrollments, quiz, count))
    back = in_overlapping_batches(make_events(others, other_quiz, count))
    both = [
        start_python(INGEST, written(tmp_path, name, batches), NOW_TEXT)
        for name, batches in (("forth", forth), ("back", [batch[::-1] for batch in back]))
    ]
    with running(*both):
        for process in both:
            wait_for_line(process, "ready")
        for number in range(ROUNDS):
            go(*both)
            for process in both:
                wait_for_line(process, f"batch {number}")
        ended = [finish(process) for process in both]
    assert [end.status for end in ended] == [0, 0], ended[0].errors + ended[1].errors
    assert Event.objects.count() == count
    live = read_models()
    rebuild_read_models()
    assert live == read_models()


def test_a_rebuild_beside_ingest_loses_and_doubles_nothing(tmp_path):
    events = make_events(*make_learners(), 1_500)
    batches = [events[start : start + 50] for start in range(0, 1_500, 50)]
    ingesting = start_python(INGEST, written(tmp_path, "events", batches), NOW_TEXT)
    rebuilding = start_python(REBUILD)
    with running(ingesting, rebuilding):
        for process in (ingesting, rebuilding):
            wait_for_line(process, "ready")
        for number in range(len(batches)):
            go(ingesting)
            wait_for_line(ingesting, f"batch {number}")
        for process in (ingesting, rebuilding):
            ended = finish(process)
            assert ended.status == 0, ended.errors
    assert Event.objects.count() == 1_500
    live = read_models()
    rebuild_read_models()
    assert live == read_models()


def test_an_ingest_killed_before_its_commit_leaves_nothing_half_done(tmp_path):
    events = make_events(*make_learners(), 500)
    process = start_python(STOP_BEFORE_COMMIT, written(tmp_path, "events", events), NOW_TEXT)
    with running(process):
        wait_for_line(process, "written")
        process.send_signal(signal.SIGKILL)
        process.wait()
    for model in (Event, DailyActivity, Progress):
        assert not model.objects.exists()
    assert not Due.objects.filter(due_at__isnull=False).exists()
    assert not Enrollment.objects.filter(last_event_at__isnull=False).exists()
    # The source sends them again, and all of them are stored.
    assert ingest(events, now=NOW).stored == 500


@pytest.mark.parametrize("milliseconds", [0, 2, 4, 8, 16])
@pytest.mark.sampled(2)
def test_an_ingest_killed_at_any_moment_leaves_whole_batches(tmp_path, milliseconds):
    events = make_events(*make_learners(), 3_000)
    batches = [events[start : start + 300] for start in range(0, 3_000, 300)]
    process = start_python(INGEST, written(tmp_path, "events", batches), NOW_TEXT)
    with running(process):
        wait_for_line(process, "ready")
        go(*[process] * 10)
        wait_for_line(process, "batch 3")
        time.sleep(milliseconds / 1000)
        process.kill()
        process.wait()
    wait_until_the_server_knows()
    landed = Event.objects.count()
    assert 1_200 <= landed < 3_000
    assert landed % 300 == 0
    live = read_models()
    rebuild_read_models()
    assert live == read_models()
    # The source sends them again: missing events are stored, the others count once.
    assert ingest(events, now=NOW).stored == 3_000 - landed


def wait_until_the_server_knows():
    """Wait until no transaction of the killed process holds a Due row any more."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT enrollment_id FROM activity_due ORDER BY 1 FOR UPDATE")
