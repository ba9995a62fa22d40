"""The effects of a roster change happen even if the process that made it dies."""

import time
from datetime import date

import psycopg
import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from activity.models import Course, DailyActivity, Due, DueCause, Enrollment, Learner, Settling
from activity.operations import (
    save_course,
    save_edited,
    save_enrollment,
    save_item,
    save_learner,
    settle_edits,
)
from activity.operations.due import lock_due
from activity.operations.edits import count_edits, settle_edit
from activity.operations.jsonl import import_jsonl
from tests.activity.test_jsonl import lines_of
from tests.factories import NOW, act, make_course, make_enrollment, make_item
from tests.processes import database_url, running, start_python

committed = pytest.mark.django_db(transaction=True)

SAVE = """
import sys
from datetime import datetime
from activity import operations

operations.{name}({values!r}, now=datetime.fromisoformat(sys.argv[1]))
"""

IMPORT = """
import sys
from datetime import datetime
from activity.operations.jsonl import import_jsonl

import_jsonl({lines!r}, now=datetime.fromisoformat(sys.argv[1]))
"""


def wait_until(true_now):
    """Wait until the condition is true. Fail after half a minute."""
    for _ in range(600):
        if true_now():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def is_waiting():
    """Return whether another connection waits for a lock of the open transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
            " AND transactionid = pg_current_xact_id_if_assigned()::xid)"
        )
        return cursor.fetchone()[0]


def kill_while_it_waits_for(enrollment, code):
    """Run the code until it pulls the enrollment, and kill it there."""
    with transaction.atomic():
        lock_due([enrollment.pk])
        process = start_python(code, NOW.isoformat())
        with running(process):
            wait_until(is_waiting)


def due_of(enrollment):
    return Due.objects.values_list("due_at", "cause").get(pk=enrollment.pk)


def settled(course):
    return Course.objects.values_list("edits", "settled_edits").get(pk=course.pk)


def item_line(course):
    return {"course": course.key, "key": "new", "kind": "quiz"}


def by_save(course):
    return SAVE.format(name="save_item", values=item_line(course))


def by_import(course):
    return IMPORT.format(lines=lines_of({"type": "item", **item_line(course)}))


@committed
@pytest.mark.slow
@pytest.mark.parametrize("code", [by_save, by_import], ids=["save_item", "import_jsonl"])
def test_an_edit_whose_process_died_before_the_pull_is_settled_later(code):
    enrollment = make_enrollment(due_at=None)
    course = enrollment.course

    kill_while_it_waits_for(enrollment, code(course))

    assert course.items.get().key == "new"
    assert due_of(enrollment) == (None, DueCause.TIME)
    assert settled(course) == (1, 0)
    # The server notices the death only when it answers. Until then the course stays locked.
    wait_until(lambda: settle_edits(now=NOW) or settled(course) == (1, 1))
    assert due_of(enrollment) == (NOW, DueCause.EDIT)


@committed
@pytest.mark.slow
def test_change_of_a_learner_is_rolled_back_if_the_process_dies_before_the_pull():
    enrollment = make_enrollment(due_at=None)
    values = {"external_id": enrollment.learner.external_id, "traits": {"level": 2}}

    kill_while_it_waits_for(enrollment, SAVE.format(name="save_learner", values=values))

    assert Learner.objects.get().traits == {}


def change_traits(enrollment):
    save_learner({"external_id": enrollment.learner.external_id, "traits": {"a": 1}}, now=NOW)


def change_traits_of_the_enrollment(enrollment):
    names = {"course": enrollment.course.key, "learner": enrollment.learner.external_id}
    save_enrollment({**names, "traits": {"a": 1}}, now=NOW)


def withdraw(enrollment):
    names = {"course": enrollment.course.key, "learner": enrollment.learner.external_id}
    save_enrollment({**names, "withdrew_at": NOW}, now=NOW)


def import_a_withdrawal(enrollment):
    names = {"course": enrollment.course.key, "learner": enrollment.learner.external_id}
    line = {"type": "enrollment", **names, "withdrew_at": NOW.isoformat()}
    assert import_jsonl(lines_of(line), now=NOW).faults == []


@committed
@pytest.mark.parametrize(
    "change", [change_traits, change_traits_of_the_enrollment, withdraw, import_a_withdrawal]
)
def test_a_learner_is_changed_and_pulled_in_one_transaction(change):
    enrollment = make_enrollment(due_at=None)
    with CaptureQueriesContext(connection) as captured:
        change(enrollment)
    assert due_of(enrollment) == (NOW, DueCause.EDIT)
    statements = [query["sql"] for query in captured.captured_queries]
    assert statements.count("COMMIT") == 1
    # Only the evaluation is woken afterwards.
    assert statements[-2] == "COMMIT"
    assert "pg_notify" in statements[-1]


@committed
def test_an_enrollment_waits_for_a_change_of_its_learner():
    learner = make_enrollment().learner
    values = {"course": make_course().key, "learner": learner.external_id}
    code = SAVE.format(name="save_enrollment", values=values)
    with transaction.atomic():
        Learner.objects.filter(pk=learner.pk).update(traits={"a": 1})
        process = start_python(code, NOW.isoformat())
        with running(process):
            wait_until(lambda: is_waiting() or process.poll() is not None)
            assert process.poll() is None
    assert Enrollment.objects.count() == 1


EDITS = {
    "item": lambda course: save_item(item_line(course), now=NOW),
    "course": lambda course: save_course({"key": course.key, "ends_on": "2025-11-30"}, now=NOW),
    "zone": lambda course: save_course({"key": course.key, "time_zone": "UTC"}, now=NOW),
}


@pytest.mark.django_db
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_counts_itself_and_is_settled_at_once(edit):
    course = make_course()
    edit(course)
    assert settled(course) == (1, 1)


@pytest.mark.django_db
def test_change_without_effect_on_signals_is_not_an_edit():
    course = make_course()
    item = make_item(course)
    save_course({"key": course.key, "title": "New"}, now=NOW)
    save_item({"course": course.key, "key": item.key, "title": "New"}, now=NOW)
    assert settled(course) == (0, 0)


@pytest.mark.django_db
def test_a_form_that_was_open_meanwhile_does_not_set_the_counts_back():
    course = make_course()
    opened = Course.objects.get(pk=course.pk)
    save_item(item_line(course), now=NOW)
    opened.ends_on = date(2025, 12, 1)
    save_edited(opened, now=NOW)
    assert settled(course) == (2, 2)


def damaged(enrollment):
    """Put the read model into the state after a zone change whose process died."""
    act(enrollment)
    Due.objects.update(due_at=None)
    DailyActivity.objects.update(acts=99)
    return count_edits([enrollment.course_id])[enrollment.course_id]


@pytest.mark.django_db
def test_settling_rebuilds_and_pulls_once():
    enrollment = make_enrollment()
    damaged(enrollment)
    settle_edits(now=NOW)
    assert DailyActivity.objects.get().acts == 1
    assert due_of(enrollment)[0] == NOW
    assert settled(enrollment.course) == (1, 1)
    Due.objects.update(due_at=None)
    settle_edits(now=NOW)
    assert due_of(enrollment)[0] is None


@pytest.mark.django_db
def test_an_edit_without_a_rebuild_does_not_hide_one_that_needed_it():
    enrollment = make_enrollment()
    damaged(enrollment)
    save_item(item_line(enrollment.course), now=NOW)
    assert DailyActivity.objects.get().acts == 1
    assert settled(enrollment.course) == (2, 2)


@pytest.mark.django_db
def test_an_edit_on_its_own_does_not_rebuild():
    enrollment = make_enrollment()
    act(enrollment)
    DailyActivity.objects.update(acts=99)
    save_item(item_line(enrollment.course), now=NOW)
    assert DailyActivity.objects.get().acts == 99


@pytest.mark.django_db
def test_an_older_edit_that_ends_late_does_not_open_a_newer_one_again():
    course = make_course()
    first = count_edits([course.pk])[course.pk]
    save_item(item_line(course), now=NOW)
    settle_edit(course.pk, first, rebuild=False, now=NOW)
    assert settled(course) == (2, 2)
    assert not Course.objects.filter(settled_edits__lt=F("edits")).exists()


@committed
def test_course_that_another_process_is_settling_is_skipped():
    enrollment = make_enrollment(due_at=None)
    count_edits([enrollment.course_id])
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(20250, %s::int)", [enrollment.course_id])
        settle_edits(now=NOW)
        assert due_of(enrollment)[0] is None
    wait_until(lambda: settle_edits(now=NOW) or settled(enrollment.course) == (1, 1))
    assert due_of(enrollment)[0] == NOW


def marked(enrollments) -> list[int]:
    """Return the acts of each enrollment, which a rebuild corrects."""
    return [DailyActivity.objects.get(enrollment=each).acts for each in enrollments]


def make_damaged(number):
    """Return enrollments of a course whose zone was changed by a process that died."""
    course = make_course()
    enrollments = [make_enrollment(course, due_at=None) for _ in range(number)]
    for each in enrollments:
        act(each)
    Due.objects.update(due_at=None)
    DailyActivity.objects.update(acts=99)
    count_edits([course.pk])
    return enrollments


@pytest.mark.django_db
def test_settling_a_large_course_continues_where_it_stopped():
    enrollments = make_damaged(5)
    for rebuilt in ([1, 1, 99, 99, 99], [1, 1, 1, 1, 99], [1, 1, 1, 1, 1]):
        settle_edits(now=NOW, budget_seconds=0, batch_size=2)
        assert marked(enrollments) == rebuilt
        # All are rebuilt before the first is pulled, because norms use all of them.
        assert not Due.objects.filter(due_at=NOW).exists()
    for pulled in (2, 4, 5):
        assert settled(enrollments[0].course) == (1, 0)
        settle_edits(now=NOW, budget_seconds=0, batch_size=2)
        assert Due.objects.filter(due_at=NOW).count() == pulled
    assert settled(enrollments[0].course) == (1, 1)
    assert not Settling.objects.exists()


@pytest.mark.django_db
def test_edit_during_the_settling_of_another_is_settled_after_it():
    enrollments = make_damaged(3)
    course = enrollments[0].course
    settle_edits(now=NOW, budget_seconds=0, batch_size=2)
    count_edits([course.pk])
    DailyActivity.objects.update(acts=99)

    settle_edits(now=NOW, batch_size=2)

    assert settled(course) == (2, 2)
    assert marked(enrollments) == [1, 1, 1]


@pytest.mark.django_db
def test_large_course_does_not_delay_the_settling_of_others():
    large, small = make_damaged(9), make_damaged(1)

    settle_edits(now=NOW, budget_seconds=0, batch_size=2)
    settle_edits(now=NOW, budget_seconds=30, batch_size=2)

    assert marked([*large, *small]) == [1] * 10


@committed
@pytest.mark.slow
def test_settling_that_is_killed_does_not_begin_again():
    enrollments = make_damaged(2)
    code = """
import sys
from datetime import datetime
from activity.operations.edits import settle_edits

settle_edits(now=datetime.fromisoformat(sys.argv[1]), batch_size=1)
"""
    kill_while_it_waits_for(enrollments[1], code)
    assert marked(enrollments) == [1, 99]
    # A rebuild from the beginning would correct this again.
    DailyActivity.objects.filter(enrollment=enrollments[0]).update(acts=77)

    wait_until(
        lambda: settle_edits(now=NOW, batch_size=1) or settled(enrollments[0].course) == (1, 1)
    )
    assert marked(enrollments) == [77, 1]
