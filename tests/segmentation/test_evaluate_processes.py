"""Evaluation in real processes: beside ingest, beside another evaluation, and killed."""

from datetime import timedelta

import pytest
from django.db import connection

from activity.models import Due
from segmentation.models import Membership, Transition
from segmentation.stages.evaluate import evaluate_due
from tests import processes
from tests.factories import NOW, make_course, make_enrollment
from tests.processes import finish, running, start_python, wait_for_line
from tests.segmentation.factories import (
    ACTED_TODAY,
    bring_up_to_date,
    make_playbook,
    make_segment,
    members,
    transitions,
    where,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SECOND = timedelta(seconds=1)
EVERYBODY = where("modules_open", ">=", 0)

# Evaluates, then keeps the transaction open until a signal to go on.
EVALUATE_AND_WAIT = """
import sys
from datetime import datetime
from django.db import transaction
from segmentation.stages.evaluate import evaluate_due
with transaction.atomic():
    counts = evaluate_due(now=datetime.fromisoformat(sys.argv[1]))
    print("evaluated", flush=True)
    sys.stdin.readline()
print(counts.evaluated, counts.entered)
"""

INGEST = """
import sys
from datetime import datetime
from django.db import transaction
from activity.operations import ingest
course, learner, at, wait = sys.argv[1:]
event = {"course": course, "learner": learner, "verb": "LOGIN", "occurred_at": at,
    "source": "test", "source_id": "only"}
with transaction.atomic():
    assert ingest([event], now=datetime.fromisoformat(at)).stored == 1
    print("stored", flush=True)
    if wait == "wait":
        sys.stdin.readline()
"""

# Claims batch by batch, and reports each batch while it holds it.
EVALUATE_SLOWLY = """
import sys, time
from datetime import datetime
from activity.queries import FeedHealth
from segmentation.stages.evaluate import evaluate_due
def health(course, *, now):
    print("claimed", flush=True)
    time.sleep(0.02)
    return FeedHealth()
print("ready", flush=True)
sys.stdin.readline()
counts = evaluate_due(now=datetime.fromisoformat(sys.argv[1]), batch_size=10, health=health)
print(f"counts {counts.evaluated} {counts.entered}")
"""


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()


def wait_until(is_so):
    assert processes.wait_until(is_so), "it never came to that"


def waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0] > 0


def nobody_else_is_connected():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            # An idle connection has no open transaction.
            " AND state <> 'idle'"
        )
        return cursor.fetchone()[0] == 0


def make_learner_in_a_segment():
    """Return an enrollment that is due, and the segment of those who acted today."""
    course = make_course()
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    enrollment = make_enrollment(course)
    bring_up_to_date(NOW - SECOND)
    Due.objects.update(due_at=NOW)
    return enrollment, segment


def start_ingest(enrollment, *, wait=False):
    at = (NOW + SECOND).isoformat()
    names = (enrollment.course.key, enrollment.learner.external_id)
    return start_python(INGEST, *names, at, "wait" if wait else "")


def test_an_event_that_arrives_during_an_evaluation_is_not_lost():
    enrollment, segment = make_learner_in_a_segment()
    evaluator = start_python(EVALUATE_AND_WAIT, NOW.isoformat())
    with running(evaluator):
        wait_for_line(evaluator, "evaluated")
        ingest = start_ingest(enrollment)
        with running(ingest):
            wait_until(waits_for_a_lock)
            go_on(evaluator)
            assert finish(evaluator).output.split() == ["1", "0"]
            assert finish(ingest).status == 0
    assert Due.objects.get().due_at == NOW + SECOND
    evaluate_due(now=NOW + SECOND)
    assert transitions(segment) == [("enter", "event", True)]


def test_evaluation_skips_an_enrollment_whose_event_is_being_stored():
    enrollment, segment = make_learner_in_a_segment()
    ingest = start_ingest(enrollment, wait=True)
    with running(ingest):
        wait_for_line(ingest, "stored")
        assert evaluate_due(now=NOW + SECOND).evaluated == 0
        go_on(ingest)
        assert finish(ingest).status == 0
    assert evaluate_due(now=NOW + SECOND).evaluated == 1
    assert members(segment) == {enrollment.id}


def make_roster(size):
    course = make_course()
    segment = make_segment(make_playbook(course), EVERYBODY)
    evaluate_due(now=NOW)
    for _ in range(size):
        make_enrollment(course)
    return segment


def test_two_evaluators_evaluate_everybody_once():
    segment = make_roster(200)
    both = [start_python(EVALUATE_SLOWLY, NOW.isoformat()) for _ in range(2)]
    with running(*both):
        for one in both:
            wait_for_line(one, "ready")
        for one in both:
            go_on(one)
        said = [finish(one).output.splitlines()[-1].split() for one in both]
    evaluated = [int(counts[1]) for counts in said]
    assert sum(evaluated) == 200
    assert min(evaluated) > 0, "both had work"
    assert sum(int(counts[2]) for counts in said) == 200
    assert len(members(segment)) == Membership.objects.count() == Transition.objects.count() == 200


@pytest.mark.parametrize("batches", [1, 3, 7])
@pytest.mark.sampled(3)
def test_evaluator_killed_at_work_leaves_no_partial_changes(batches):
    segment = make_roster(100)
    evaluator = start_python(EVALUATE_SLOWLY, NOW.isoformat())
    with running(evaluator):
        wait_for_line(evaluator, "ready")
        go_on(evaluator)
        for _ in range(batches):
            wait_for_line(evaluator, "claimed")
        evaluator.kill()
        evaluator.wait()
    wait_until(nobody_else_is_connected)
    done = set(Due.objects.filter(evaluated_at=NOW).values_list("enrollment_id", flat=True))
    assert len(done) < 100
    assert members(segment) == done
    assert set(Transition.objects.values_list("enrollment_id", flat=True)) == done
    assert evaluate_due(now=NOW).evaluated == 100 - len(done)
    assert Membership.objects.count() == Transition.objects.count() == 100


def test_an_evaluator_killed_before_its_commit_has_done_nothing():
    segment = make_roster(20)
    evaluator = start_python(EVALUATE_AND_WAIT, NOW.isoformat())
    with running(evaluator):
        wait_for_line(evaluator, "evaluated")
        evaluator.kill()
        evaluator.wait()
    wait_until(nobody_else_is_connected)
    assert members(segment) == set()
    assert not Transition.objects.exists()
    assert Due.objects.filter(due_at=NOW, evaluated_at=None).count() == 20
    assert evaluate_due(now=NOW).entered == 20
