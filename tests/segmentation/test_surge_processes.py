"""Two real worker processes evaluate one midnight of a course, and one of them is killed."""

import pytest

from interventions.stages.react import react_due
from segmentation.models import Surge, SurgeState, Transition, WaitingEntry
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_enrollment
from tests.processes import finish, running, start_python, wait_for_line
from tests.segmentation.factories import bring_up_to_date
from tests.segmentation.test_evaluate_processes import (
    go_on,
    nobody_else_is_connected,
    wait_until,
)
from tests.segmentation.test_surges import DAY, HOUR, WEEK, act_all, held, make_class, started

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
MIDNIGHT = NOW + WEEK

# Counts the entries, then stops before the first of them is released.
COUNT_AND_WAIT = """
import sys
from datetime import datetime
from segmentation.operations import surges
from segmentation.stages.evaluate import evaluate_due
def wait(**_):
    print("counted", flush=True)
    sys.stdin.readline()
surges._move_on = wait
evaluate_due(now=datetime.fromisoformat(sys.argv[1]))
"""


# Holds its first batch of six until a signal to go on.
EVALUATE_SIX_AND_WAIT = """
import sys
from datetime import datetime
from activity.queries import FeedHealth
from segmentation.stages.evaluate import evaluate_due
def health(course, *, now):
    print("claimed", flush=True)
    sys.stdin.readline()
    return FeedHealth()
evaluate_due(now=datetime.fromisoformat(sys.argv[1]), batch_size=6, health=health)
"""


def start_with_six():
    """Return a worker that has claimed six of the due enrollments and waits."""
    worker = start_python(EVALUATE_SIX_AND_WAIT, MIDNIGHT.isoformat())
    wait_for_line(worker, "claimed")
    return worker


def test_entries_of_two_workers_are_counted_together():
    segment, _ = make_class(24, 24)
    worker = start_with_six()
    with running(worker):
        assert evaluate_due(now=MIDNIGHT).entered == 18
        assert react_due(now=MIDNIGHT) == 0
        assert held() == []
        go_on(worker)
        assert finish(worker).status == 0
    evaluate_due(now=MIDNIGHT)
    assert [surge.entered for surge in held()] == [24]
    assert started(segment) == set()


def test_part_of_a_killed_worker_is_counted_with_the_rest():
    segment, _ = make_class(24, 24)
    worker = start_with_six()
    with running(worker):
        assert evaluate_due(now=MIDNIGHT).entered == 18
        worker.kill()
        worker.wait()
    wait_until(nobody_else_is_connected)
    assert evaluate_due(now=MIDNIGHT).entered == 6
    assert [surge.entered for surge in held()] == [24]
    assert started(segment) == set()
    assert Transition.objects.count() == WaitingEntry.objects.count() == 24


def test_worker_killed_after_counting_leads_to_no_double_count_and_all_are_released():
    segment, _ = make_class(16, 48)
    # Enters an hour later, so that the day is counted once more.
    late = make_enrollment(segment.playbook.courses.get())
    act_all([late], NOW + HOUR)
    bring_up_to_date(NOW + 6 * DAY)
    worker = start_python(COUNT_AND_WAIT, MIDNIGHT.isoformat())
    with running(worker):
        wait_for_line(worker, "counted")
        worker.kill()
        worker.wait()
    wait_until(nobody_else_is_connected)
    assert WaitingEntry.objects.count() == 16
    evaluate_due(now=MIDNIGHT + HOUR)
    assert len(started(segment)) == 17
    assert Surge.objects.get().entered == 17
    assert Surge.objects.get().state == SurgeState.COUNTING
    assert not WaitingEntry.objects.exists()


def test_two_simultaneous_decisions_release_everybody_once():
    segment, _ = make_class(16, 48)
    worker = start_python(COUNT_AND_WAIT, MIDNIGHT.isoformat())
    with running(worker):
        wait_for_line(worker, "counted")
        evaluate_due(now=MIDNIGHT)
        go_on(worker)
        assert finish(worker).status == 0
    assert Surge.objects.get().entered == 16
    assert Transition.objects.filter(starts=True, processed_at=None).count() == 16
    assert len(started(segment)) == 16
