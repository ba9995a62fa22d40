"""What evaluations took is noted by day, and when a segment was frozen."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections

from activity.models import Due
from segmentation.models import EvaluationDay, Freeze, Segment
from segmentation.operations import (
    SegmentFields,
    archive_segment,
    edit_segment,
    evaluate_courses,
    thaw_segment,
)
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_course, make_enrollment
from tests.segmentation.factories import QUIET, make_playbook, make_segment, members, where

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TODAY = date(2025, 9, 30)


def make_quiet(course: Any, number: int) -> Segment:
    """Return a segment that the learners of the course will be in."""
    for _ in range(number):
        make_enrollment(course)
    return make_segment(make_playbook(course), QUIET)


def test_batches_of_a_local_day_add_up() -> None:
    course = make_course(time_zone="Asia/Tokyo")
    segment = make_quiet(course, 5)

    # 21:00 in Tokyo, so the next one is on the next local day.
    evaluate_due(now=NOW, batch_size=2)
    edit_segment(segment.pk, replace(SegmentFields.of(segment), priority=7), now=NOW)
    evaluate_due(now=NOW + 4 * HOUR)

    second, first = EvaluationDay.objects.filter(course=course).order_by("-day")
    assert (first.day, second.day) == (TODAY, TODAY + DAY)
    assert (first.batches, first.evaluated, first.entered, first.left) == (3, 5, 5, 0)
    assert 0 < first.slowest_seconds < first.seconds
    assert first.last_at == NOW
    assert (second.batches, second.evaluated, second.entered) == (1, 5, 0)


def test_evaluation_of_nobody_is_not_noted() -> None:
    make_quiet(make_course(), 0)

    evaluate_due(now=NOW)

    assert not EvaluationDay.objects.exists()


def test_full_evaluation_counts_too() -> None:
    course = make_course()
    make_quiet(course, 3)

    evaluate_courses([course], as_of=NOW)

    day = EvaluationDay.objects.get()
    assert (day.course, day.day, day.evaluated, day.entered) == (course, TODAY, 3, 3)


def test_course_with_a_stopped_clock_is_noted_on_its_last_day() -> None:
    course = make_course(clock_stopped_at=NOW)
    make_quiet(course, 1)

    evaluate_due(now=NOW + 90 * DAY)

    assert EvaluationDay.objects.get().day == TODAY


def test_failure_of_one_learner_is_noted_with_its_error() -> None:
    course = make_course()
    make_quiet(course, 9)
    unlucky = make_enrollment(course)
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE segmentation_membership"
            f" ADD CONSTRAINT refused CHECK (enrollment_id <> {unlucky.pk}) NOT VALID"
        )

    evaluate_due(now=NOW)

    make_enrollment(course)
    # What succeeds later does not hide the error.
    evaluate_due(now=NOW + timedelta(seconds=1))

    day = EvaluationDay.objects.get()
    assert (day.evaluated, day.failed) == (10, 1)
    assert "refused" in day.error
    # The database adds the values of the row, which belong to a learner.
    assert "DETAIL" in Due.objects.get(enrollment=unlucky).error
    assert "DETAIL" not in day.error


def test_days_are_forgotten_after_ninety_days() -> None:
    course, other = make_course(), make_course()
    for each in (course, other):
        for ago in (90, 91):
            EvaluationDay.objects.create(course=each, day=TODAY - ago * DAY, last_at=NOW)
    make_quiet(course, 1)

    evaluate_due(now=NOW)

    kept = EvaluationDay.objects.filter(course=course)
    assert {each.day for each in kept} == {TODAY, TODAY - 90 * DAY}
    assert EvaluationDay.objects.filter(course=other).count() == 2


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_day_that_another_transaction_holds_costs_the_note_and_not_the_evaluation() -> None:
    course = make_course()
    segment = make_quiet(course, 2)
    EvaluationDay.objects.create(course=course, day=TODAY, last_at=NOW)
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT FROM segmentation_evaluationday FOR NO KEY UPDATE")
        try:
            counts = evaluate_due(now=NOW)
        finally:
            cursor.execute("ROLLBACK")
    other.close()

    assert (counts.evaluated, len(members(segment))) == (2, 2)
    assert EvaluationDay.objects.get().evaluated == 0


def freeze() -> Segment:
    """Return a segment whose rule could not be evaluated."""
    segment = make_quiet(make_course(), 1)
    Segment.objects.filter(pk=segment.pk).update(rule=where("charm", ">=", 7))
    evaluate_due(now=NOW)
    segment.refresh_from_db()
    return segment


def test_freeze_is_noted_once_with_its_error_and_version() -> None:
    segment = freeze()

    evaluate_due(now=NOW + HOUR)

    noted = Freeze.objects.get()
    assert (noted.segment, noted.version, noted.frozen_at) == (segment, 1, NOW)
    assert "charm" in noted.error
    assert noted.thawed_at is None


def mend(segment: Segment) -> None:
    edit_segment(segment.pk, replace(SegmentFields.of(segment), rule=QUIET), now=NOW + HOUR)


@pytest.mark.parametrize(
    "end",
    [
        mend,
        lambda segment: thaw_segment(segment.pk, now=NOW + HOUR),
        lambda segment: archive_segment(segment.pk, now=NOW + HOUR),
    ],
    ids=["an edit", "thawing", "archiving"],
)
def test_freeze_ends_with(end: Any) -> None:
    end(freeze())

    assert Freeze.objects.get().thawed_at == NOW + HOUR


def test_segment_that_fails_again_is_frozen_a_second_time() -> None:
    segment = freeze()
    thaw_segment(segment.pk, now=NOW + HOUR)

    evaluate_due(now=NOW + 2 * HOUR)

    assert [each.frozen_at for each in Freeze.objects.all()] == [NOW + 2 * HOUR, NOW]
    with pytest.raises(IntegrityError):
        Freeze.objects.update(thawed_at=None)
