"""Courses, batches and changes each get their turn after failures and delays."""

from datetime import timedelta

import pytest
from django.db import connection

from activity.models import DueCause
from activity.operations import pull_due
from activity.queries import feed_health
from segmentation.models import PlaybookCourse
from segmentation.operations.revisions import next_revision, note_change, pull_changed
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_course, make_enrollment
from tests.segmentation.factories import QUIET, due_at, make_playbook, make_segment

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class Turns:
    """The real feed check, which each batch calls once. It records the courses."""

    def __init__(self):
        self.courses = []

    def __call__(self, course, *, now):
        self.courses.append(course.id)
        return feed_health(course, now=now)


def test_another_course_begins_each_second():
    enrollments = [make_enrollment(make_course()) for _ in range(3)]
    first = []
    for seconds in range(3):
        turns, now = Turns(), NOW + seconds * SECOND
        pull_due([each.id for each in enrollments], at=now, cause=DueCause.TIME)
        evaluate_due(now=now, health=turns)
        first.append(turns.courses[0])
        assert len(turns.courses) == 3

    assert set(first) == {each.course_id for each in enrollments}


def test_batches_grow_again_after_a_failure():
    course = make_course()
    make_segment(make_playbook(course), QUIET)
    everybody = [make_enrollment(course, due_at=NOW - HOUR) for _ in range(30)]
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE segmentation_membership"
            f" ADD CONSTRAINT refused CHECK (enrollment_id <> {everybody[0].id}) NOT VALID"
        )
    turns = Turns()

    assert evaluate_due(now=NOW, health=turns).evaluated == 29
    # Batches of 30, 3 and 1 fail, and the one is delayed. Then come 2, 4, 8 and the other 15.
    assert len(turns.courses) == 7


def test_later_change_made_meanwhile_is_kept():
    playbook = make_playbook(make_course())
    make_segment(playbook, QUIET)
    enrollment = make_enrollment(playbook.courses.get())
    evaluate_due(now=NOW)
    note_change(playbook.id)
    later = next_revision()

    def another_evaluation(execute, sql, params, many, context):
        # While this evaluation pulls the course, another one has pulled a later change.
        if "activity_due" in sql:
            PlaybookCourse.objects.update(pulled_revision=later)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(another_evaluation):
        pull_changed(now=NOW + HOUR)

    assert due_at(enrollment) == NOW + HOUR
    assert PlaybookCourse.objects.get().pulled_revision == later


def test_change_pulls_its_courses_once():
    playbook = make_playbook(make_course())
    make_segment(playbook, QUIET)
    enrollment = make_enrollment(playbook.courses.get())
    evaluate_due(now=NOW)
    before = due_at(enrollment)

    pull_changed(now=NOW + SECOND)

    assert due_at(enrollment) == before > NOW + SECOND
