"""The pace of a learner relative to the course, in small examples. The day D is 2025-09-30."""

from datetime import timedelta

import pytest

from tests.factories import act, make_enrollment, make_item
from tests.segmentation.test_signals import ago, course, learner, read

__all__ = ["course", "learner"]

pytestmark = pytest.mark.django_db


def finish(learner, module, *, hours, days_ago=3):
    """Touch the module and complete it this many hours later."""
    begun_at = ago(days=days_ago)
    act(learner, "VIEW_MODULE", item=module, occurred_at=begun_at)
    act(learner, "COMPLETE_MODULE", item=module, occurred_at=begun_at + timedelta(hours=hours))


def test_pace_is_the_rank_in_the_course_and_ties_share_the_middle(course, learner):
    module = make_item(course, "module")
    others = [make_enrollment(course) for _ in range(4)]
    for enrollment, hours in zip((learner, *others), (2, 4, 4, 8, 16), strict=True):
        finish(enrollment, module, hours=hours)
    paces = [read(each, "pace_percentile") for each in (learner, *others)]
    assert paces == [0.0, 0.3, 0.3, 0.6, 0.8]


@pytest.mark.parametrize(("last", "first_rank"), [(2, None), (3, 0.125)])
def test_nobody_has_a_rank_if_more_than_half_of_the_paces_are_equal(
    course, learner, last, first_rank
):
    module = make_item(course, "module")
    others = [make_enrollment(course) for _ in range(3)]
    for enrollment, hours in zip((learner, *others), (2, 2, last, 8), strict=True):
        finish(enrollment, module, hours=hours)
    assert read(learner, "pace_percentile") == first_rank
    assert (read(others[-1], "pace_percentile") is None) == (first_rank is None)


def test_paces_that_differ_by_rounding_alone_are_equal(course, learner):
    # With module medians of 3 hours: 1/3 + 0.5 * (1 - 1/3) and 2/3 differ in the last bit.
    first, second = make_item(course, "module"), make_item(course, "module")
    twin = make_enrollment(course)
    finish(learner, first, hours=1)
    finish(learner, second, hours=3)
    finish(twin, first, hours=2)
    for hours in ((3, None), (4, 2), (5, 6)):
        other = make_enrollment(course)
        for module, spent in zip((first, second), hours, strict=True):
            if spent:
                finish(other, module, hours=spent)
    assert [read(each, "pace_percentile") for each in (learner, twin)] == [0.1, 0.1]


def test_a_pace_of_today_ties_with_all_others_of_its_size(course, learner):
    module = make_item(course, "module")
    early = [make_enrollment(course) for _ in range(2)]
    for enrollment, hours in zip(early, (2, 4), strict=True):
        finish(enrollment, module, hours=hours)
    # The norm is 3 hours. The learner's pace of today is not among the two paces in the norms.
    finish(learner, module, hours=2, days_ago=0.2)
    assert read(learner, "pace_percentile") == 0.25
    assert read(early[0], "pace_percentile") == 0.0


def test_a_completion_in_minutes_counts_as_an_hour(course, learner):
    module = make_item(course, "module")
    quick, slow, slower = (make_enrollment(course) for _ in range(3))
    for enrollment, hours in ((learner, 0.1), (quick, 0.9), (slow, 5), (slower, 6)):
        finish(enrollment, module, hours=hours)
    assert read(quick, "pace_percentile") == 0.125
    assert read(slow, "pace_percentile") == 0.5


def test_pace_uses_the_norms_from_the_beginning_of_the_day(course, learner):
    module, untimed = make_item(course, "module"), make_item(course, "module")
    today, slow = make_enrollment(course), make_enrollment(course)
    finish(learner, module, hours=4)
    finish(slow, module, hours=8)
    finish(today, module, hours=1, days_ago=0.2)
    finish(today, untimed, hours=1, days_ago=0.1)
    # Today's completions count for the learner, but not yet for the norms of others.
    paces = [read(each, "pace_percentile") for each in (today, learner, slow)]
    assert paces == [0.0, 0.0, 0.5]


def test_pace_is_unknown_without_a_completion_or_without_norms(course, learner):
    module = make_item(course, "module")
    idle = make_enrollment(course)
    finish(learner, module, hours=1, days_ago=0.1)
    assert read(learner, "pace_percentile") is None
    assert read(idle, "pace_percentile") is None
