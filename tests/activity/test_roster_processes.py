"""Two real processes change one row of the roster at once, and neither change is lost."""

import json
from contextlib import ExitStack

import pytest
from django.db import transaction

from activity.models import Due, DueCause, Enrollment, Learner
from activity.operations.due import lock_due
from tests.factories import NOW, make_course, make_enrollment, make_item, make_learner
from tests.processes import finish, running, start_python, wait_for_line, wait_until_somebody_waits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

# Changes a row, and commits after a signal.
FIRST = """
import sys
from datetime import datetime
from django.db import transaction
from activity import operations

with transaction.atomic():
    operations.{save}({values!r}, now=datetime.fromisoformat(sys.argv[1]))
    print("written", flush=True)
    sys.stdin.readline()
"""
SECOND = """
import sys
from datetime import datetime
from activity import operations

operations.{save}({values!r}, now=datetime.fromisoformat(sys.argv[1]))
"""
# Imports lines, and waits after each one for a signal to go on.
IMPORT = """
import sys
from datetime import datetime
from activity.operations import jsonl

def stopping(change):
    def changed(*arguments):
        change(*arguments)
        print("changed", flush=True)
        sys.stdin.readline()
    return changed

jsonl.CHANGES = {{name: stopping(change) for name, change in jsonl.CHANGES.items()}}
lines = [line.encode() for line in {lines!r}]
result = jsonl.import_jsonl(lines, now=datetime.fromisoformat(sys.argv[1]))
assert result.faults == [], result
"""


def ended_well(process):
    """Let the process finish. Return whether it ended without an error."""
    ended = finish(process)
    return ended.status == 0 or ended.errors


def change_at_once(save, first, second):
    """Let two processes save the values, the second before the first has committed."""
    holding = start_python(FIRST.format(save=save, values=first), NOW.isoformat())
    with running(holding):
        wait_for_line(holding, "written")
        waiting = start_python(SECOND.format(save=save, values=second), NOW.isoformat())
        with running(waiting):
            wait_until_somebody_waits()
            assert ended_well(holding) is True
            assert ended_well(waiting) is True


def names_of(enrollment):
    return {"course": enrollment.course.key, "learner": enrollment.learner.external_id}


COURSE = ({"title": "New"}, {"ends_on": "2025-11-30"})
ITEM = ({"title": "New"}, {"due_on": "2025-09-20"})
LEARNER = ({"email": "new@example.org"}, {"traits": {"level": 2}})
ENROLLMENT = ({"withdrew_at": NOW.isoformat()}, {"completed_at": NOW.isoformat()})


def test_two_edits_of_one_course_are_both_kept():
    course = make_course()
    change_at_once("save_course", *({"key": course.key, **edit} for edit in COURSE))
    course.refresh_from_db()
    assert (course.title, str(course.ends_on)) == ("New", "2025-11-30")


def test_two_edits_of_one_item_are_both_kept():
    item = make_item(make_course())
    names = {"course": item.course.key, "key": item.key}
    change_at_once("save_item", *({**names, **edit} for edit in ITEM))
    item.refresh_from_db()
    assert (item.title, str(item.due_on)) == ("New", "2025-09-20")


def test_two_edits_of_one_learner_are_both_kept_and_its_enrollments_pulled():
    enrollment = make_enrollment(due_at=None)
    names = {"external_id": enrollment.learner.external_id}
    change_at_once("save_learner", *({**names, **edit} for edit in LEARNER))
    learner = Learner.objects.get()
    assert (learner.email, learner.traits) == ("new@example.org", {"level": 2})
    assert Due.objects.values_list("due_at", "cause").get() == (NOW, DueCause.EDIT)


def test_two_edits_of_one_enrollment_are_both_kept():
    enrollment = make_enrollment()
    names = names_of(enrollment)
    change_at_once("save_enrollment", *({**names, **edit} for edit in ENROLLMENT))
    enrollment.refresh_from_db()
    assert (enrollment.withdrew_at, enrollment.completed_at) == (NOW, NOW)


def test_two_enrollments_of_one_learner_make_one_row_with_both_values():
    names = {"course": make_course().key, "learner": make_learner().external_id}
    change_at_once("save_enrollment", *({**names, **edit} for edit in ENROLLMENT))
    enrollment = Enrollment.objects.get()
    assert (enrollment.withdrew_at, enrollment.completed_at) == (NOW, NOW)


def test_an_enrollment_is_locked_after_its_due_row():
    enrollment = make_enrollment()
    values = {**names_of(enrollment), "completed_at": NOW.isoformat()}
    code = SECOND.format(save="save_enrollment", values=values)
    with ExitStack() as held:
        with transaction.atomic():
            lock_due([enrollment.pk])
            process = start_python(code, NOW.isoformat())
            held.enter_context(running(process))
            wait_until_somebody_waits()
            # As ingest does under the Due lock. In the other order this would be a deadlock.
            Enrollment.objects.update(last_event_at=NOW)
        assert ended_well(process) is True
    enrollment.refresh_from_db()
    assert (enrollment.last_event_at, enrollment.completed_at) == (NOW, NOW)


def test_imports_of_the_same_items_in_opposite_order_do_not_deadlock():
    course = make_course()
    items = [make_item(course) for _ in range(2)]
    lines = [
        json.dumps({"type": "item", "course": course.key, "key": item.key, "title": "New"})
        for item in items
    ]
    forth = start_python(IMPORT.format(lines=lines), NOW.isoformat())
    with running(forth):
        wait_for_line(forth, "changed")
        back = start_python(IMPORT.format(lines=lines[::-1]), NOW.isoformat())
        with running(back):
            wait_until_somebody_waits()
            assert ended_well(forth) is True
            assert ended_well(back) is True
    assert set(course.items.values_list("title", flat=True)) == {"New"}
