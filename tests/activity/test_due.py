"""The evaluation queue: pulling, claiming, pushing and failing Due rows."""

from datetime import timedelta

import pytest
from django.db import transaction

from activity.models import Due, DueCause
from activity.operations import claim_due, fail_due, pull_course, pull_due, push_due
from activity.queries import due_enrollments
from tests.factories import NOW, make_course, make_enrollment

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=5)
SOONER = NOW - timedelta(hours=5)


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, NOW), (LATER, NOW), (NOW, NOW), (SOONER, SOONER)],
    ids=["never", "later", "now", "overdue"],
)
def test_a_pull_only_ever_moves_forward(before, after):
    enrollment = make_enrollment(due_at=before)
    pull_due([enrollment.pk], at=NOW)
    assert Due.objects.get().due_at == after


def test_the_strongest_cause_since_the_last_evaluation_stays():
    enrollment = make_enrollment(due_at=None)
    for cause, kept in (
        (DueCause.EVENT, DueCause.EVENT),
        (DueCause.EDIT, DueCause.EDIT),
        (DueCause.EVENT, DueCause.EDIT),
    ):
        pull_due([enrollment.pk], at=NOW, cause=cause)
        assert Due.objects.get().cause == kept


def test_a_course_is_pulled_alone():
    one, other = make_enrollment(due_at=LATER), make_enrollment(due_at=LATER)
    pull_course(one.course_id, at=NOW)
    assert Due.objects.get(pk=one.pk).due_at == NOW
    assert Due.objects.get(pk=one.pk).cause == DueCause.EDIT
    assert Due.objects.get(pk=other.pk).due_at == LATER


def test_due_enrollments_are_grouped_by_course_the_longest_waiting_first(django_assert_num_queries):
    course, other = make_course(), make_enrollment(due_at=SOONER)
    waiting = [make_enrollment(course, due_at=NOW - timedelta(hours=n)) for n in range(4)]
    make_enrollment(course, due_at=LATER)
    make_enrollment(course, due_at=None)
    make_enrollment(due_at=LATER)
    in_order = [each.pk for each in reversed(waiting)]

    with django_assert_num_queries(1):
        found = due_enrollments(now=NOW)
    assert found == {course.pk: in_order, other.course_id: [other.pk]}
    assert due_enrollments(now=NOW, course_id=course.pk) == {course.pk: in_order}
    assert due_enrollments(now=NOW, limit=2) == {
        course.pk: in_order[:1],
        other.course_id: [other.pk],
    }


def test_claim_returns_the_named_enrollments_that_are_due():
    course = make_course()
    due, later, never, unnamed = (
        make_enrollment(course, due_at=at) for at in (NOW, LATER, None, NOW)
    )
    with transaction.atomic():
        assert claim_due([never.pk, later.pk, due.pk], now=NOW) == [due.pk]
        assert claim_due([unnamed.pk, due.pk], now=NOW) == [due.pk, unnamed.pk]


@pytest.mark.django_db(transaction=True)
def test_a_claim_outside_of_a_transaction_is_refused():
    with pytest.raises(transaction.TransactionManagementError):
        claim_due([make_enrollment().pk], now=NOW)


def test_push_records_the_evaluation_and_resets_cause_and_failures():
    course = make_course()
    one, other = make_enrollment(course), make_enrollment(course)
    pull_due([one.pk, other.pk], at=NOW, cause=DueCause.EDIT)
    fail_due([one.pk], now=NOW, error="broken")
    push_due([one.pk, other.pk], [LATER, None], evaluated_at=NOW, rules_revision=7)
    rows = Due.objects.order_by("pk").values_list(
        "due_at", "cause", "attempts", "error", "evaluated_at", "rules_revision"
    )
    assert list(rows) == [
        (LATER, DueCause.TIME, 0, "", NOW, 7),
        (None, DueCause.TIME, 0, "", NOW, 7),
    ]


def test_the_instant_of_evaluation_never_goes_back():
    enrollment = make_enrollment()
    for at in (NOW, SOONER):
        push_due([enrollment.pk], [None], evaluated_at=at, rules_revision=1)
    assert Due.objects.get().evaluated_at == NOW


def test_a_failure_is_put_off_twice_as_long_each_time_up_to_an_hour():
    enrollment = make_enrollment()
    waits = []
    for _ in range(9):
        fail_due([enrollment.pk], now=NOW, error="rule\0broken")
        waits.append((Due.objects.get().due_at - NOW).total_seconds())
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    row = Due.objects.get()
    assert (row.attempts, row.error) == (9, "rule\N{REPLACEMENT CHARACTER}broken")
