"""Courses, batches and changes each get their turn after failures and delays."""

from datetime import timedelta

import pytest
from django.db import connection

from activity.models import DueCause
from activity.operations import pull_due
from activity.queries import FeedHealth, feed_health
from segmentation.models import Norms, PlaybookCourse
from segmentation.operations.revisions import next_revision, note_change, pull_changed
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_course, make_enrollment
from tests.segmentation.factories import (
    QUIET,
    bring_up_to_date,
    due_at,
    make_playbook,
    make_segment,
    members,
    names,
    where,
)

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


def test_failing_enrollment_is_found_in_eighths_after_the_other_courses():
    course, other = make_course(), make_course()
    make_segment(make_playbook(course), QUIET)
    everybody = [make_enrollment(course, due_at=NOW - HOUR) for _ in range(30)]
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE segmentation_membership"
            f" ADD CONSTRAINT refused CHECK (enrollment_id <> {everybody[0].id}) NOT VALID"
        )
    alone = make_enrollment(other, due_at=NOW)
    turns = Turns()

    assert evaluate_due(now=NOW, health=turns, batch_size=30).evaluated == 30
    assert due_at(alone) is None or due_at(alone) > NOW
    # A batch of 30 fails, then one of 4 of its eight parts, and at last one of its four.
    assert sorted(turns.courses) == [course.id] * 13 + [other.id]
    assert turns.courses.index(other.id) <= 1


def test_courses_share_a_batch_and_a_large_one_takes_turns():
    small = [make_enrollment(make_course(), due_at=NOW) for _ in range(3)]
    large = make_course()
    for _ in range(7):
        make_enrollment(large, due_at=NOW)
    turns = Turns()

    assert evaluate_due(now=NOW, health=turns, batch_size=4).evaluated == 10
    # Ten enrollments in batches of four: the large course in at most three, each small one in one.
    assert turns.courses.count(large.id) in (2, 3)
    assert sorted(set(turns.courses)) == sorted([*(one.course_id for one in small), large.id])
    assert len(turns.courses) <= 6


@pytest.mark.parametrize("number", [2, 12])
def test_courses_with_the_same_playbook_cost_no_statement_each(number, django_assert_num_queries):
    courses = [make_course() for _ in range(number)]
    segment = make_segment(make_playbook(*courses), QUIET)
    everybody = [make_enrollment(course, due_at=NOW) for course in courses]
    bring_up_to_date()
    for one in everybody:
        act(one, occurred_at=NOW + HOUR)

    with django_assert_num_queries(24):
        assert evaluate_due(now=NOW + HOUR).left == number
    assert members(segment) == set()


def test_one_batch_holds_courses_with_other_playbooks_zones_clocks_and_feeds():
    zoned, stopped, quiet, bare = (
        make_course(time_zone="Pacific/Auckland"),
        make_course(clock_stopped_at=NOW - timedelta(days=26)),
        make_course(),
        make_course(),
    )
    shared = make_segment(make_playbook(zoned, stopped, quiet), QUIET)
    own = make_segment(make_playbook(zoned), where("active_days", "=", 0, window=1))
    everybody = [make_enrollment(course, due_at=NOW) for course in (zoned, stopped, quiet, bare)]
    act(everybody[0], occurred_at=NOW)
    act(everybody[2], occurred_at=NOW)
    bring_up_to_date()
    later = NOW + timedelta(days=9)
    pull_due(names(everybody), at=later, cause=DueCause.TIME)

    counts = evaluate_due(now=later, health=lambda course, now: silence(course, quiet, now))

    assert counts.evaluated == 4
    assert members(own) == {everybody[0].id}
    assert members(shared) == {everybody[0].id}, "the others: stopped too early, and silent"
    assert due_at(everybody[1]) is None
    assert due_at(everybody[2]) <= later + timedelta(minutes=15)


def test_course_whose_norms_are_deleted_meanwhile_waits_with_its_members():
    courses = [make_course(), make_course()]
    segment = make_segment(make_playbook(*courses), where("activities_overdue", "=", 0))
    everybody = [make_enrollment(course, due_at=NOW) for course in courses]
    bring_up_to_date()
    assert members(segment) == names(everybody)
    pull_due(names(everybody), at=NOW + HOUR)

    def renewal(execute, sql, params, many, context):
        # Late data of one course delete its norms after this evaluation has looked for them.
        if "reading AS MATERIALIZED" in sql:
            Norms.objects.filter(course=courses[0]).delete()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(renewal):
        assert evaluate_due(now=NOW + HOUR).evaluated == 1
    assert members(segment) == names(everybody)
    assert [due_at(one) == NOW + HOUR for one in everybody] == [True, False]
    assert evaluate_due(now=NOW + HOUR).evaluated == 1


def silence(course, quiet, now):
    return FeedHealth(status="silent", since=now) if course == quiet else FeedHealth()


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
